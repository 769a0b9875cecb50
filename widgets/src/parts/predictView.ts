/** Prediction: drop, paste or choose images; what a version says of them; the same as Python and curl. */
import { OPERATIONS, BASE } from '../api';
import type { Context, Part, VersionTarget } from '../context';
import { button, empty, failure, messageOf } from '../controls';
import { notify } from '../dialogs';
import { icon } from '../icons';
import { fill, h, Scope } from '../dom';
import { duration, number } from '../format';
import { learnConcepts } from '../colours';
import { codeView, predictCode } from '../form/python';
import { predictionCard } from '../predict/card';
import type { PredictionCard } from '../predict/card';
import { regionSliders } from '../predict/sliders';
import { filesOfDrop } from '../upload/files';

const MOST_IMAGES = 32;

export function predictView(host: HTMLElement, context: Context, target: VersionTarget): Part {
  const scope = new Scope();
  const params = { owner: target.owner, app: target.app, model: target.model, version: target.version };
  const pictures: string[] = [];

  const chooser = h('input', {
    type: 'file',
    accept: 'image/*,.tif,.tiff',
    multiple: true,
    hidden: true,
    'aria-label': 'Images',
    'data-testid': 'predict-input',
  });
  const zone = h(
    'div',
    {
      class: 'dft-drop dft-drop-small',
      tabindex: 0,
      'data-testid': 'predict-drop',
      role: 'group',
      'aria-label': 'Drop or paste images here',
    },
    icon('image'),
    h('div', { class: 'dft-drop-text' }, 'Drop or paste images here'),
    button({
      label: 'Choose images',
      kind: 'primary',
      testid: 'predict-choose',
      onClick: () => chooser.click(),
    }),
    chooser,
  );
  const status = h('div', { class: 'dft-help', role: 'status', 'data-testid': 'predict-status' });
  const sliders = regionSliders((look) => cards.forEach((card) => card.look(look)));
  let cards: PredictionCard[] = [];
  const results = h('div', { class: 'dft-predictions' });
  const python = codeView('Show as Python', 'predict-python');
  const curl = codeView('Show as curl', 'predict-curl');
  const root = h(
    'section',
    { class: 'dft-part dft-predict', 'data-testid': 'predict-view' },
    h('h2', { class: 'dft-title' }, 'Predict with ', h('bdi', {}, target.model), ` ${target.version}`),
    zone,
    status,
    sliders.element,
    results,
    python.element,
    curl.element,
  );
  host.append(root);
  fill(results, empty('What the model says of an image will stand here.'));
  showCode(['image.jpg']);

  function showCode(names: string[]): void {
    python.set(predictCode({ app: target.app, model: target.model, id: target.version }, names));
    curl.set(curlCode(context.client.settings.baseUrl, params, names[0]));
  }

  const clearPictures = (): void => {
    pictures.splice(0).forEach((url) => URL.revokeObjectURL(url));
    cards.forEach((card) => card.dispose());
    cards = [];
  };

  const predict = async (files: File[]): Promise<void> => {
    if (files.length === 0) {
      return;
    }
    if (files.length > MOST_IMAGES) {
      notify(
        context,
        root,
        `The first ${MOST_IMAGES} of ${files.length} images are taken; Python takes any number.`,
        'warning',
      );
    }
    const taken = files.slice(0, MOST_IMAGES);
    showCode(taken.map((file) => file.name));
    root.classList.add('dft-running');
    clearPictures();
    sliders.hide();
    cards = taken.map((file) => {
      const url = URL.createObjectURL(file);
      pictures.push(url);
      return predictionCard(file.name, url);
    });
    fill(results, ...cards.map((card) => card.element));
    fill(status, h('span', { class: 'dft-spinner' }), ' Predicting; the first time the model has to load …');
    try {
      const images = await Promise.all(taken.map(async (file) => ({ data: await base64(file) })));
      const answer = await client.call('predict', { params, body: { images } });
      await known;
      sliders.fit(answer.predictions);
      answer.predictions.forEach((prediction, index) => cards[index]?.show(prediction, type));
      cards.forEach((card) => card.look(sliders.value));
      const cold = answer.cold ? ', with loading the model' : '';
      const time = answer.seconds < 1 ? `${number(answer.seconds * 1000)} ms` : duration(answer.seconds);
      status.textContent = `${time}${cold}`;
    } catch (error) {
      fill(status);
      fill(
        results,
        failure(error, () => void predict(files)),
      );
    } finally {
      root.classList.remove('dft-running');
    }
  };

  // the type says what an empty answer means; the app's names decide the colours
  let type = '';
  const { client } = context;
  const known = Promise.allSettled([
    client.call('version', { params }),
    client.call('concepts', { params }),
  ]).then(([version, concepts]) => {
    if (concepts.status === 'fulfilled') {
      learnConcepts(concepts.value.map(({ name }) => name));
    }
    if (version.status === 'fulfilled') {
      type = version.value.type;
      learnConcepts(version.value.concepts);
    }
  });

  chooser.addEventListener('change', () => {
    const files = Array.from(chooser.files ?? []);
    chooser.value = '';
    void predict(files);
  });
  scope.listen(root, 'dragover', (event) => mark(event, true));
  scope.listen(root, 'dragenter', (event) => mark(event, true));
  scope.listen(root, 'dragleave', (event) => mark(event, false));
  scope.listen(root, 'drop', (event) => {
    mark(event, false);
    if (event.dataTransfer) {
      filesOfDrop(event.dataTransfer)
        .then(({ files }) => predict(files.map(({ file }) => file)))
        .catch((error: unknown) => notify(context, root, messageOf(error), 'error'));
    }
  });
  scope.listen(
    document,
    'paste',
    (event) => {
      const inside =
        root.contains(document.activeElement) ||
        (event.target instanceof Node && root.contains(event.target));
      const files = Array.from(event.clipboardData?.files ?? []);
      if (inside && files.length > 0) {
        event.preventDefault();
        event.stopPropagation();
        void predict(files);
      }
    },
    { capture: true },
  );

  function mark(event: DragEvent, over: boolean): void {
    event.preventDefault();
    event.stopPropagation();
    zone.classList.toggle('dft-over', over);
  }

  return {
    dispose() {
      clearPictures();
      scope.dispose();
      root.remove();
    },
  };
}

/** Base64 in pieces: a large picture as one argument list would overflow the stack. */
async function base64(file: File): Promise<string> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const pieces: string[] = [];
  for (let start = 0; start < bytes.length; start += 0x8000) {
    pieces.push(String.fromCharCode(...bytes.subarray(start, start + 0x8000)));
  }
  return btoa(pieces.join(''));
}

function curlCode(baseUrl: string, params: VersionTarget, name: string): string {
  const path = OPERATIONS.predict.path.replace(/{(\w+)}/g, (_, key: keyof VersionTarget) =>
    encodeURIComponent(params[key]),
  );
  const url = new URL(baseUrl.replace(/\/$/, '') + BASE + path, window.location.href);
  const file = `'${name.replace(/'/g, `'\\''`)}'`;
  return [
    `base64 -w0 ${file} | sed 's/.*/{"images": [{"data": "&"}]}/' |`,
    `  curl -X POST '${url.href}' \\`,
    '    -H "Authorization: token $JUPYTER_TOKEN" -H "Content-Type: application/json" -d @-',
  ].join('\n');
}
