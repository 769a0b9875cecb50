/**
 * The hyperparameters of a template: its fields, the values that were set, and what the checker says of them.
 *
 * What a person set stays when the template changes, for the fields that both have; the rest takes the new defaults.
 */
import type { CheckedParams, Fault, Field, ModelVersion, Template } from '../api';
import { button, messageOf } from '../controls';
import type { Context } from '../context';
import { debounce, fill, h } from '../dom';
import { number } from '../format';
import { fieldControl } from './fields';
import type { FieldControl } from './fields';
import { versionChoices } from './versions';

export interface Parameters {
  readonly element: HTMLElement;
  /** The values that differ from the template's defaults. */
  readonly changed: Record<string, unknown>;
  readonly values: Record<string, unknown>;
  setTemplate(template: Template): void;
  /** Puts values in, such as those of a saved model. */
  setValues(values: Record<string, unknown>): void;
  setExamples(examples: number | null): void;
  /** Faults that the server found when the form was sent. True: each has a field here. */
  showFaults(faults: readonly Fault[]): boolean;
  /** Asks the checker now; true: no fault. A fault's field takes the focus. */
  check(): Promise<boolean>;
  dispose(): void;
}

const QUIET_MILLISECONDS = 150;

export interface ParametersOptions {
  onChange(): void;
  /** The trained versions of the app, asked for when a field that names one is about to be used. */
  versions(): Promise<ModelVersion[]>;
}

export function parameters(context: Context, options: ParametersOptions): Parameters {
  let template: Template | null = null;
  let controls: FieldControl[] = [];
  const set = new Map<string, unknown>();
  let examples: number | null = null;
  let asked = 0;
  let checked: CheckedParams | null = null;

  const main = h('div', { class: 'dft-fields' });
  const moreFields = h('div', { class: 'dft-fields' });
  const moreMark = h('span', { class: 'dft-more-mark', 'data-testid': 'more-changed', hidden: true });
  const more = h(
    'details',
    { class: 'dft-more', 'data-testid': 'more' },
    h('summary', {}, 'More', moreMark),
    moreFields,
  );
  const facts = h('div', { class: 'dft-facts', role: 'status', 'data-testid': 'facts' });
  const reset = button({
    label: 'Reset',
    icon: 'undo',
    testid: 'reset',
    title: 'Put every value back to the template’s default',
    onClick: () => {
      set.clear();
      controls.forEach((control) => control.write(control.field.default));
      onInput();
    },
  });
  const element = h(
    'section',
    { class: 'dft-parameters', 'aria-label': 'Hyperparameters' },
    h('div', { class: 'dft-row' }, h('h3', { class: 'dft-grow' }, 'Hyperparameters'), reset),
    main,
    more,
    facts,
  );

  const quiet = debounce(QUIET_MILLISECONDS, () => void ask());

  function onInput(): void {
    for (const control of controls) {
      const value = control.read();
      if (same(value, control.field.default)) {
        set.delete(control.field.name);
      } else {
        set.set(control.field.name, value);
      }
    }
    const folded = controls.filter((control) => control.field.more && set.has(control.field.name)).length;
    moreMark.hidden = folded === 0;
    moreMark.textContent = ` • ${folded} changed`;
    options.onChange();
    quiet.call();
  }

  /** Versions that this field may name. What cannot be read leaves the field to be typed. */
  function onWanted(field: Field): void {
    const type = template?.type ?? '';
    options
      .versions()
      .then((versions) =>
        controls
          .find((control) => control.field === field)
          ?.setChoices?.(versionChoices(versions, field, type)),
      )
      .catch(() => undefined);
  }

  const values = (): Record<string, unknown> =>
    Object.fromEntries(controls.map((control) => [control.field.name, control.read()]));

  async function ask(): Promise<boolean> {
    if (!template) {
      return false;
    }
    quiet.cancel();
    asked += 1;
    const turn = asked;
    try {
      const answer = await context.client.call('check_params', {
        params: { template: template.id },
        body: { values: values(), examples },
      });
      if (turn === asked) {
        checked = answer;
        show();
      }
      return answer.faults.length === 0;
    } catch (error) {
      fill(facts, h('span', { class: 'dft-fault' }, `The values cannot be checked: ${messageOf(error)}`));
      return false;
    }
  }

  function show(): void {
    const faults = place(checked?.faults ?? []);
    const wrong = checked?.faults.length ?? 0;
    const { effective_lrate: effective, steps_per_epoch: steps, total_steps: total } = checked ?? {};
    const known = ![...faults.keys()].some((name) => /lrate|batch_size/.test(name));
    const rate = known ? effective : null;
    fill(
      facts,
      rate !== null && rate !== undefined && fact('Effective learning rate', number(rate), 'effective-lrate'),
      steps !== null &&
        steps !== undefined &&
        fact('Steps per epoch', `≈ ${number(steps)}`, 'steps-per-epoch'),
      total !== null && total !== undefined && fact('Steps in all', `≈ ${number(total)}`, 'total-steps'),
      wrong > 0 &&
        h('span', { class: 'dft-fault' }, wrong === 1 ? '1 value is wrong' : `${wrong} values are wrong`),
      ...(faults.get('') ?? []).map((fault) =>
        h('span', { class: 'dft-fault' }, `${fault.field}: ${fault.reason}`),
      ),
    );
  }

  /** Puts each fault at its field, by the first part of its path; those without a field stand under "". */
  function place(all: readonly Fault[]): Map<string, Fault[]> {
    const faults = new Map<string, Fault[]>();
    for (const fault of all) {
      const name = fault.field.split(/[.[]/, 1)[0];
      const known = controls.some((control) => control.field.name === name) ? name : '';
      faults.set(known, [...(faults.get(known) ?? []), fault]);
    }
    for (const control of controls) {
      const mine = faults.get(control.field.name) ?? [];
      control.setFaults(mine, set.has(control.field.name));
      if (control.field.more && mine.length > 0) {
        more.open = true;
      }
    }
    return faults;
  }

  function focusFault(): void {
    controls.find((control) => control.element.classList.contains('dft-invalid'))?.focus();
  }

  return {
    element,
    get changed() {
      return Object.fromEntries(set);
    },
    get values() {
      return values();
    },
    setTemplate(next) {
      const sameType = template?.type === next.type;
      template = next;
      checked = null;
      for (const [name, value] of [...set]) {
        const field = next.fields.find((one) => one.name === name);
        if (!field || !keeps(field, value, sameType)) {
          set.delete(name);
        }
      }
      controls = next.fields.map((field) => fieldControl(field, onInput, onWanted));
      for (const { field, write } of controls) {
        write(set.has(field.name) ? set.get(field.name) : field.default);
      }
      fill(main, ...controls.filter((control) => !control.field.more).map((control) => control.element));
      fill(moreFields, ...controls.filter((control) => control.field.more).map((control) => control.element));
      more.hidden = moreFields.childElementCount === 0;
      onInput();
    },
    setValues(given) {
      for (const control of controls) {
        if (control.field.name in given) {
          control.write(given[control.field.name]);
        }
      }
      onInput();
    },
    setExamples(next) {
      if (next !== examples) {
        examples = next;
        quiet.call();
      }
    },
    showFaults(all) {
      const faults = place(all);
      focusFault();
      return all.length > 0 && !faults.has('');
    },
    async check() {
      const right = await ask();
      if (!right) {
        focusFault();
      }
      return right;
    },
    dispose: quiet.cancel,
  };
}

function fact(name: string, value: string, testid: string): HTMLElement {
  return h('span', { class: 'dft-fact' }, `${name} `, h('b', { 'data-testid': testid }, value));
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Whether a value that was set for one template means the same in the next. */
function keeps(field: Field, value: unknown, sameType: boolean): boolean {
  if (field.type === 'choice') {
    return field.choices.includes(String(value));
  }
  return field.type !== 'text' || (field.unit !== 'yaml' && (sameType || field.unit !== 'version'));
}
