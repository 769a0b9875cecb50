/** The chosen app: its inputs, concepts, datasets and models with their versions. */
import { addIcon, caretDownIcon, ellipsesIcon, runIcon } from '@jupyterlab/ui-components';
import { number, plural } from '@deepft-lab/parts';
import type { App, Concept, Context, Dataset, Model, ModelVersion } from '@deepft-lab/parts';
import type { MouseEvent } from 'react';
import { uploadIcon } from '../icons';
import type { Contents } from '../model';
import { IconButton, Row, Version } from './controls';
import type { Actions } from './actions';

const CHIPS = 12;
const VERSIONS = 5;

interface HeadProps {
  app: App;
  actions: Actions;
}

/** The name of the chosen app; a click shows the others. */
export function AppHead({ app, actions }: HeadProps): JSX.Element {
  const about = app.description ? `\n${app.description}` : '';
  return (
    <div className="deepft-AppHead">
      <button
        type="button"
        className="deepft-AppHead-name"
        title={`${app.id} (of ${app.owner})${about}\nChoose another app`}
        aria-haspopup="menu"
        data-testid="app-switcher"
        onClick={(event) => actions.switchApp(place(event))}
      >
        <caretDownIcon.react tag="span" className="deepft-Icon" />
        <span className="deepft-AppHead-text">{app.id}</span>
      </button>
      <IconButton
        icon={ellipsesIcon}
        label={`More for ${app.id}`}
        testid="app-menu"
        menu
        onClick={(event) => actions.appMenu(place(event))}
      />
    </div>
  );
}

interface ContentsProps {
  contents: Contents;
  context: Required<Context>;
  actions: Actions;
}

export function AppContents({ contents, context, actions }: ContentsProps): JSX.Element {
  const { app, concepts, datasets, models, versions } = contents;
  return (
    <div className="deepft-Contents" data-testid="app-contents" data-app={app.id}>
      <Row
        label="Inputs"
        value={number(app.inputs)}
        title={app.inputs ? `Open the ${plural(app.inputs, 'input')} of ${app.id}` : 'No inputs yet'}
        testid="inputs"
        onOpen={actions.openInputs}
      >
        <IconButton icon={uploadIcon} label="Upload inputs" testid="upload" onClick={actions.upload} />
      </Row>
      <Row
        label="Concepts"
        value={<Chips items={concepts.map(conceptChip)} none="none yet" />}
        title="Open the inputs, to label them"
        testid="concepts"
        onOpen={actions.openInputs}
      >
        <IconButton
          icon={addIcon}
          label="Create concepts"
          testid="create-concepts"
          onClick={actions.createConcepts}
        />
      </Row>
      <Row
        label="Datasets"
        value={<Chips items={datasets.map(datasetChip)} none="none yet" />}
        title="Open the inputs, to put them into datasets"
        testid="datasets"
        onOpen={actions.openInputs}
      />
      <div className="deepft-Row" data-testid="models">
        <span className="deepft-Row-label deepft-mod-static" id="deepft-models">
          Models
        </span>
        <IconButton
          icon={addIcon}
          label="Create a model"
          testid="create-model"
          onClick={actions.createModel}
        />
      </div>
      <ul className="deepft-Models" aria-labelledby="deepft-models">
        {models.map((model) => (
          <ModelItem
            key={model.id}
            model={model}
            versions={versions.get(model.id) ?? []}
            context={context}
            actions={actions}
          />
        ))}
      </ul>
      {models.length === 0 && <NextStep app={app} actions={actions} />}
    </div>
  );
}

interface ModelProps {
  model: Model;
  versions: readonly ModelVersion[];
  context: Required<Context>;
  actions: Actions;
}

function ModelItem({ model, versions, context, actions }: ModelProps): JSX.Element {
  const hidden = versions.length - VERSIONS;
  return (
    <li className="deepft-Model" data-testid="model" data-model={model.id}>
      <div className="deepft-Row">
        <button
          type="button"
          className="deepft-Row-open"
          title={`${model.id}: ${model.type}, template ${model.template}\nOpen its hyperparameters`}
          data-testid="model-open"
          onClick={() => actions.openModel(model)}
        >
          <span className="deepft-Model-name">{model.id}</span>
        </button>
        <IconButton
          icon={runIcon}
          label={`Train ${model.id}`}
          testid="model-item-train"
          onClick={() => actions.openModel(model)}
        />
        <IconButton
          icon={ellipsesIcon}
          label={`More for ${model.id}`}
          testid="model-menu"
          menu
          onClick={(event) => actions.modelMenu(model, place(event))}
        />
      </div>
      <ul className="deepft-Versions dft-part" aria-label={`Versions of ${model.id}`}>
        {versions.slice(0, VERSIONS).map((version) => (
          <Version key={version.job} context={context} version={version} />
        ))}
      </ul>
      {hidden > 0 && (
        <button
          type="button"
          className="deepft-Link"
          title={`Open ${model.id} with all its versions`}
          onClick={() => actions.openModel(model)}
        >
          {plural(hidden, 'older version')}
        </button>
      )}
      {versions.length === 0 && <div className="deepft-Quiet">not trained yet</div>}
    </li>
  );
}

/** What a newcomer does next. */
function NextStep({ app, actions }: HeadProps): JSX.Element {
  const empty = app.inputs === 0;
  return (
    <div className="deepft-Next" data-testid="next-step">
      <span>
        {empty ? 'Upload some images to begin.' : 'Choose a template to train a model on these inputs.'}
      </span>
      <button
        type="button"
        className="jp-mod-styled jp-mod-accept deepft-Button"
        data-testid={empty ? 'next-upload' : 'next-model'}
        onClick={empty ? actions.upload : actions.createModel}
      >
        {empty ? 'Upload inputs' : 'Create a model'}
      </button>
    </div>
  );
}

interface Chip {
  name: string;
  title: string;
}

function Chips({ items, none }: { items: Chip[]; none: string }): JSX.Element {
  if (items.length === 0) {
    return <span className="deepft-Quiet">{none}</span>;
  }
  const rest = items.slice(CHIPS);
  return (
    <span className="deepft-Chips">
      {items.slice(0, CHIPS).map((item) => (
        <span key={item.name} className="deepft-Chip" title={item.title} dir="auto">
          {item.name}
        </span>
      ))}
      {rest.length > 0 && (
        <span className="deepft-Quiet" title={rest.map((item) => item.name).join(', ')}>
          and {number(rest.length)} more
        </span>
      )}
    </span>
  );
}

function conceptChip(concept: Concept): Chip {
  const { name, positives, negatives } = concept;
  return { name, title: `${name}: present on ${number(positives)}, absent on ${number(negatives)}` };
}

function datasetChip(dataset: Dataset): Chip {
  const frozen = dataset.versions > 0 ? `, frozen ${plural(dataset.versions, 'time')}` : '';
  return { name: dataset.id, title: `${dataset.id}: ${plural(dataset.inputs, 'input')}${frozen}` };
}

/** Where a menu opens: below the control, also when it was reached by the keyboard. */
function place(event: MouseEvent<HTMLElement>): { x: number; y: number } {
  const box = event.currentTarget.getBoundingClientRect();
  return { x: box.left, y: box.bottom };
}
