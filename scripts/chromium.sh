#!/usr/bin/env bash
# Chromium for the browser tests: from Debian's or Ubuntu's packages, where it is missing and this account may install.
set -euo pipefail
for name in chromium chromium-browser google-chrome; do
  if command -v "$name" >/dev/null; then exit 0; fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
else
  echo "No Chromium here, and this account may not install it: the browser tests will be skipped. Try: sudo apt-get install chromium" >&2
fi
