// Copies the first notebook into the sources, so that the sidebar can hand it out.
import { readFileSync, writeFileSync } from 'node:fs';

const notebook = JSON.parse(
  readFileSync(new URL('../notebooks/01_first_app.ipynb', import.meta.url), 'utf8'),
);
for (const cell of notebook.cells) {
  if (cell.cell_type === 'code') {
    cell.outputs = [];
    cell.execution_count = null;
  }
}
const target = new URL('./src/story.json', import.meta.url);
const text = `${JSON.stringify(notebook, null, 1)}\n`;
let before = '';
try {
  before = readFileSync(target, 'utf8');
} catch {
  // The first build.
}
if (text !== before) {
  writeFileSync(target, text);
}
