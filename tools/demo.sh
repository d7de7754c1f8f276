#!/bin/bash
# Show the main job on this machine: two compute nodes, four guests, a real
# broker, real DHCP.  The first run installs what is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/setup.sh

require_root tools/demo.sh
install_packages demo
make_environment demo
exec .venv/bin/flatnet lab demo "$@"
