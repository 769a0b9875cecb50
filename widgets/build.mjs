/** Bundles the panels of the notebook, and the styles for both front ends. */
import { build } from 'esbuild';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';

const target = '../deepft_lab/widgets/static';
const panels = existsSync('src/panels')
  ? (await readdir('src/panels')).filter((name) => name.endsWith('.ts')).map((name) => `src/panels/${name}`)
  : [];

const common = { bundle: true, minify: true, logLevel: 'warning', legalComments: 'inline' };
await build({ ...common, entryPoints: ['src/style.css'], outfile: 'lib/style.css' });
await build({ ...common, entryPoints: ['src/style.css'], outfile: `${target}/style.css` });
if (panels.length > 0) {
  await build({ ...common, entryPoints: panels, outdir: target, format: 'esm', target: 'es2020' });
}
