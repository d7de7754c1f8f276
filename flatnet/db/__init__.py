"""What flatnet keeps in the database: rows in, rows out, no decisions.

A public function takes a `Database` first, runs in one transaction of its
own and answers with values of `flatnet.state.rows`.  Nothing of SQLAlchemy
leaves this package.
"""
