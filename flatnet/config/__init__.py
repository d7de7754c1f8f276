"""What the operator sets, in three steps.

`options` declares it, with help texts; `conf` reads and checks it, by
oslo.config; `settings` is the frozen values that come of it, for layers that
know no oslo.config.  `broker` has what is set for oslo.messaging.
"""
