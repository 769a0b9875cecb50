/** The left sidebar: find an app, start something, and see what runs. It draws the model and runs commands. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import { ReactWidget, UseSignal } from '@jupyterlab/apputils';
import { addIcon, refreshIcon } from '@jupyterlab/ui-components';
import { ApiError, plural } from '@deepft-lab/parts';
import type { App, Context } from '@deepft-lab/parts';
import type { Message } from '@lumino/messaging';
import { describe } from '../context';
import { labIcon } from '../icons';
import type { LabModel } from '../model';
import { type Actions, createActions } from './actions';
import { AppContents, AppHead } from './contents';
import { IconButton, Section, Version } from './controls';
import { MachineFigures, machineSummary } from './machine';

export class Sidebar extends ReactWidget {
  private readonly actions: Actions;
  private runningOpen = true;
  private machineOpen = false;

  constructor(
    application: JupyterFrontEnd,
    private readonly lab: LabModel,
    private readonly context: Required<Context>,
  ) {
    super();
    this.id = 'deepft-lab-sidebar';
    this.addClass('deepft-Sidebar');
    this.title.icon = labIcon;
    this.title.caption = 'DeepFT Lab';
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', 'DeepFT Lab');
    this.node.dataset['testid'] = 'deepft-sidebar';
    this.actions = createActions(application, lab);
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this.lab.setLooking(true);
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    this.lab.setLooking(this.isVisible);
  }

  protected override onAfterHide(message: Message): void {
    super.onAfterHide(message);
    this.lab.setLooking(false);
  }

  protected override render(): JSX.Element {
    return <UseSignal signal={this.lab.changed}>{() => this.draw()}</UseSignal>;
  }

  private draw(): JSX.Element {
    const { lab, actions, context } = this;
    return (
      <>
        <div className="deepft-Head">
          <h2>DeepFT Lab</h2>
          <IconButton
            icon={refreshIcon}
            label="Refresh"
            testid="refresh"
            spinning={lab.busy}
            onClick={actions.refresh}
          />
          <IconButton icon={addIcon} label="Create an app" testid="create-app" onClick={actions.createApp} />
        </div>
        <Trouble lab={lab} actions={actions} />
        <div className="deepft-Scroll">
          <Apps lab={lab} actions={actions} context={context} />
          {lab.apps !== null && (
            <>
              <Section
                title="Running and waiting"
                summary={lab.running.length || ''}
                open={this.runningOpen}
                testid="running"
                onToggle={(open) => {
                  this.runningOpen = open;
                  this.update();
                }}
              >
                <ul className="deepft-Versions dft-part" aria-label="Running and waiting">
                  {lab.running.map((version) => (
                    <Version key={version.job} context={context} version={version} full />
                  ))}
                </ul>
                {lab.running.length === 0 && <div className="deepft-Quiet">Nothing runs now.</div>}
              </Section>
              <Section
                title="This machine"
                summary={lab.machine && machineSummary(lab.machine)}
                open={this.machineOpen}
                testid="machine"
                onToggle={(open) => {
                  this.machineOpen = open;
                  lab.setMachineWanted(open);
                  this.update();
                }}
              >
                {lab.machine && <MachineFigures machine={lab.machine} />}
              </Section>
            </>
          )}
        </div>
      </>
    );
  }
}

interface AppsProps {
  lab: LabModel;
  actions: Actions;
  context: Required<Context>;
}

/** The chosen app, or the list to choose from, or how to begin. */
function Apps({ lab, actions, context }: AppsProps): JSX.Element {
  const { apps, chosen, contents } = lab;
  if (apps === null) {
    return lab.error ? <></> : <div className="deepft-Quiet deepft-Padded">Loading…</div>;
  }
  if (apps.length === 0) {
    return <Empty actions={actions} />;
  }
  const app = chosen && apps.find((one) => one.owner === chosen.owner && one.id === chosen.app);
  if (!app) {
    return <AppList apps={apps} actions={actions} />;
  }
  return (
    <section className="deepft-Section" aria-label={`App ${app.id}`}>
      <AppHead app={app} actions={actions} />
      {contents ? (
        <AppContents contents={contents} context={context} actions={actions} />
      ) : (
        <div className="deepft-Quiet deepft-Padded">Loading…</div>
      )}
    </section>
  );
}

function Empty({ actions }: { actions: Actions }): JSX.Element {
  return (
    <div className="deepft-Empty" data-testid="empty-state">
      <labIcon.react tag="div" className="deepft-Empty-icon" />
      <p>Train a vision model on your own images: upload, label, choose a template, watch it learn.</p>
      <button
        type="button"
        className="jp-mod-styled jp-mod-accept deepft-Button"
        data-testid="empty-create-app"
        onClick={actions.createApp}
      >
        Create an app
      </button>
      <button type="button" className="deepft-Link" data-testid="empty-story" onClick={actions.openStory}>
        See it in a notebook first
      </button>
    </div>
  );
}

function AppList({ apps, actions }: { apps: readonly App[]; actions: Actions }): JSX.Element {
  return (
    <section className="deepft-Section" aria-label="Apps">
      <div className="deepft-AppList-head">Apps</div>
      <ul className="deepft-AppList" data-testid="app-list">
        {apps.map((app) => (
          <li key={`${app.owner}/${app.id}`}>
            <button
              type="button"
              className="deepft-AppList-item"
              title={`${app.id} (of ${app.owner})${app.description ? `\n${app.description}` : ''}`}
              data-testid="app-item"
              data-app={app.id}
              onClick={() => actions.chooseApp(app)}
            >
              <span className="deepft-AppList-name">{app.id}</span>
              <span className="deepft-Quiet">
                {plural(app.inputs, 'input')} · {plural(app.models, 'model')}
              </span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** What is wrong, above everything, until it is right again. */
function Trouble({ lab, actions }: { lab: LabModel; actions: Actions }): JSX.Element | null {
  if (!lab.error && lab.connected) {
    return null;
  }
  const words = lab.error
    ? describe(lab.error)
    : 'The connection to the server is lost. What trains goes on; this page connects again by itself.';
  const missing = lab.error instanceof ApiError && lab.error.status === 404;
  return (
    <div className="deepft-Trouble" role="alert" data-testid="trouble">
      <span>{words}</span>
      {missing && (
        <span>
          Try <code>jupyter server extension list</code>: deepft_lab should be enabled and OK.
        </span>
      )}
      <button type="button" className="deepft-Link" data-testid="trouble-retry" onClick={actions.refresh}>
        Try again
      </button>
    </div>
  );
}
