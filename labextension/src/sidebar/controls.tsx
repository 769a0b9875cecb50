/** The sidebar's small controls. Every one has a label, a tooltip and a keyboard path. */
import { caretDownIcon, caretRightIcon, type LabIcon } from '@jupyterlab/ui-components';
import { type ModelVersion, versionRow, type VersionRow } from '@deepft-lab/parts';
import type { Context } from '@deepft-lab/parts';
import { type MouseEvent, type ReactNode, useEffect, useRef } from 'react';

interface IconButtonProps {
  icon: LabIcon;
  label: string;
  testid: string;
  menu?: boolean;
  spinning?: boolean;
  onClick(event: MouseEvent<HTMLElement>): void;
}

export function IconButton({ icon, label, testid, menu, spinning, onClick }: IconButtonProps): JSX.Element {
  return (
    <button
      type="button"
      className={`deepft-IconButton${spinning ? ' deepft-mod-spinning' : ''}`}
      title={label}
      aria-label={label}
      aria-haspopup={menu ? 'menu' : undefined}
      data-testid={testid}
      onClick={onClick}
    >
      <icon.react tag="span" className="deepft-Icon" />
    </button>
  );
}

interface SectionProps {
  title: string;
  summary?: ReactNode;
  open: boolean;
  testid: string;
  onToggle(open: boolean): void;
  children?: ReactNode;
}

/** A heading that folds what is below it. */
export function Section({ title, summary, open, testid, onToggle, children }: SectionProps): JSX.Element {
  const caret = open ? caretDownIcon : caretRightIcon;
  const id = `deepft-section-${testid}`;
  return (
    <section className="deepft-Section" data-testid={testid} aria-labelledby={id}>
      <button
        type="button"
        className="deepft-Section-head"
        id={id}
        aria-expanded={open}
        title={open ? `Fold ${title} away` : `Show ${title}`}
        data-testid={`${testid}-toggle`}
        onClick={() => onToggle(!open)}
      >
        <caret.react tag="span" className="deepft-Icon" />
        <span className="deepft-Section-title">{title}</span>
        <span className="deepft-Section-summary">{summary}</span>
      </button>
      {open && <div className="deepft-Section-body">{children}</div>}
    </section>
  );
}

interface RowProps {
  label: string;
  title: string;
  testid: string;
  value?: ReactNode;
  onOpen(): void;
  children?: ReactNode;
}

/** A line that opens something, with its buttons at the right. */
export function Row({ label, title, testid, value, onOpen, children }: RowProps): JSX.Element {
  return (
    <div className="deepft-Row" data-testid={testid}>
      <button
        type="button"
        className="deepft-Row-open"
        title={title}
        data-testid={`${testid}-open`}
        onClick={onOpen}
      >
        <span className="deepft-Row-label">{label}</span>
        <span className="deepft-Row-value">{value}</span>
      </button>
      {children}
    </div>
  );
}

interface VersionProps {
  context: Required<Context>;
  version: ModelVersion;
  full?: boolean;
}

/** The line of a version that notebooks draw too. */
export function Version({ context, version, full }: VersionProps): JSX.Element {
  const host = useRef<HTMLLIElement>(null);
  const row = useRef<VersionRow | null>(null);
  useEffect(() => {
    const mounted = versionRow(context, version, { full });
    row.current = mounted;
    host.current?.append(mounted.element);
    return () => {
      row.current = null;
      mounted.dispose();
    };
    // The row follows `version` by itself below; it is made anew only for another job.
  }, [context, version.job, full]);
  useEffect(() => row.current?.update(version), [version]);
  return (
    <>
      <li className="deepft-Version" ref={host} />
      {version.state === 'failed' && <Details version={version} context={context} />}
    </>
  );
}

/** The way from a failure's one line to its log. */
function Details({ version, context }: VersionProps): JSX.Element {
  const { owner, app, model, id } = version;
  return (
    <li className="deepft-Details">
      <button
        type="button"
        className="deepft-Link"
        title={`${version.reason}\nOpen ${id} with its log`}
        data-testid="version-details"
        onClick={() => context.open({ kind: 'version', owner, app, model, version: id })}
      >
        Details
      </button>
    </li>
  );
}
