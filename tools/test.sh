#!/bin/bash
# Run all tests on this machine.  The first run installs what is missing.
#
#     tools/test.sh            everything, two suites at a time
#     tools/test.sh -e unit    arguments go to tox
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/setup.sh

require_root tools/test.sh
install_packages test
make_environment test

# A directory for each suite, that all of its servers can enter.
SUITES=$(mktemp -d /tmp/suites.XXXX)
export SUITES
chmod 755 "$SUITES"
trap 'rm -rf "$SUITES"' EXIT

started=$SECONDS
status=0
if (($#)); then
    .venv/bin/tox run "$@" || status=$?
else
    # Two at a time: nearly all tests wait for something most of the time.
    .venv/bin/tox run-parallel --parallel 2 || status=$?
fi
took="$(((SECONDS - started) / 60)) min $(((SECONDS - started) % 60)) s"
if ((status == 0)); then
    say "PASSED: every suite, in $took"
else
    say "FAILED after $took: the list above names the suites that did not" \
        "pass; the output of each says why"
fi
exit "$status"
