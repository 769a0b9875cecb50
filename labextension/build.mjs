// Bundles the plugin for JupyterLab with @jupyter/builder, as `jupyter-builder build` does, but by Node alone.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const builder = require.resolve('@jupyter/builder/lib/build-labextension.js');
const core = createRequire(builder).resolve('@jupyterlab/core-meta/core.package.json');
const here = fileURLToPath(new URL('.', import.meta.url));
const result = spawnSync(
  process.execPath,
  [builder, '--core-package-file', core, ...process.argv.slice(2), here],
  { stdio: 'inherit', cwd: here },
);
process.exit(result.status ?? 1);
