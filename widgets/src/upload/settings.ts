/** Upload settings: what every file of the upload gets. */
import type { CreateUpload } from '../api';
import { checkId, tokenField } from '../combobox';
import { labelled } from '../controls';
import type { AppTarget, Context } from '../context';
import { freshId, h } from '../dom';
import { plural } from '../format';
import { parseMetadata } from '../metadata';

export interface SettingsForm {
  readonly element: HTMLElement;
  /** The settings, or null where something is wrong (it then says so and takes the focus). */
  read(): CreateUpload | null;
  refresh(): Promise<void>;
}

export function settingsForm(context: Context, target: AppTarget): SettingsForm {
  const dataset = tokenField({
    label: 'Dataset',
    placeholder: 'None',
    create: true,
    single: true,
    check: checkId,
    testid: 'upload-dataset',
  });
  const concepts = tokenField({
    label: 'Concepts',
    placeholder: 'None',
    create: true,
    testid: 'upload-concepts',
  });
  const folders = h('input', { type: 'checkbox', 'data-testid': 'upload-folders' });
  const metadata = h('textarea', {
    class: 'dft-input dft-code',
    rows: 1,
    placeholder: '{"camera": "left"}',
    spellcheck: 'false',
    'data-testid': 'upload-metadata',
  });
  const faultId = freshId();
  const fault = h('span', { class: 'dft-fault', id: faultId, role: 'alert', hidden: true });
  metadata.setAttribute('aria-describedby', faultId);

  const check = (): Record<string, unknown> | null => {
    const { value, reason } = parseMetadata(metadata.value);
    fault.hidden = reason === '';
    fault.textContent = reason;
    metadata.setAttribute('aria-invalid', String(reason !== ''));
    return value;
  };
  metadata.addEventListener('input', check);

  const metadataField = labelled('Metadata', metadata, { title: 'A JSON object that every input gets' });
  metadataField.append(fault);
  const element = h(
    'div',
    { class: 'dft-settings' },
    labelled('Dataset', dataset.element, { title: 'Choose a dataset, or type a new name' }),
    labelled('Concepts', concepts.element, { title: 'Choose concepts, or type new names' }),
    h(
      'label',
      { class: 'dft-check', title: 'photos/ant/1.jpg gets the concept “ant”' },
      folders,
      h('span', {}, 'Concept from the folder’s name'),
    ),
    metadataField,
  );

  return {
    element,
    read() {
      const checked = check();
      if (checked === null) {
        metadata.focus();
        return null;
      }
      return {
        dataset: dataset.values[0] ?? null,
        concepts: concepts.values,
        concepts_from_folders: folders.checked,
        metadata: checked,
      };
    },
    async refresh() {
      const params = { owner: target.owner, app: target.app };
      const [datasets, known] = await Promise.all([
        context.client.call('datasets', { params }),
        context.client.call('concepts', { params }),
      ]);
      dataset.setChoices(datasets.map((d) => ({ value: d.id, hint: plural(d.inputs, 'input') })));
      concepts.setChoices(known.map((c) => ({ value: c.name, hint: plural(c.positives, 'input') })));
    },
  };
}
