/** The files that a person dropped or chose, whole folders included, each with its path below what was chosen. */

export interface ChosenFile {
  name: string;
  file: File;
}

export interface Chosen {
  files: ChosenFile[];
  /** Hidden files and folders (a leading dot), which nobody means to upload. */
  hidden: number;
}

/** Files of a drop. Everything is taken out of the event at once: after the first `await` it is empty. */
export function filesOfDrop(transfer: DataTransfer): Promise<Chosen> {
  const entries: FileSystemEntry[] = [];
  const loose: File[] = [];
  for (const item of Array.from(transfer.items)) {
    if (item.kind === 'file') {
      const entry = item.webkitGetAsEntry?.() ?? null;
      const file = entry ? null : item.getAsFile();
      if (entry) {
        entries.push(entry);
      } else if (file) {
        loose.push(file);
      }
    }
  }
  if (entries.length === 0 && loose.length === 0) {
    loose.push(...Array.from(transfer.files));
  }
  return walk(entries, loose);
}

/** Files of a chooser; a folder chooser gives paths. */
export function filesOfChooser(list: FileList): Chosen {
  return sift(Array.from(list, (file) => ({ name: file.webkitRelativePath || file.name, file })));
}

async function walk(entries: FileSystemEntry[], loose: File[]): Promise<Chosen> {
  const found: ChosenFile[] = loose.map((file) => ({ name: file.name, file }));
  const pending = [...entries];
  for (let entry = pending.shift(); entry; entry = pending.shift()) {
    const name = entry.fullPath.replace(/^\//, '');
    if (entry.isFile) {
      const file = await new Promise<File>((resolve, reject) =>
        (entry as FileSystemFileEntry).file(resolve, reject),
      );
      found.push({ name, file });
    } else if (!isHidden(name)) {
      pending.push(...(await children(entry as FileSystemDirectoryEntry)));
    }
  }
  return sift(found);
}

/** A reader gives its entries in batches, and an empty one at the end. */
async function children(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    const batch = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (batch.length === 0) {
      return all;
    }
    all.push(...batch);
  }
}

function sift(files: ChosenFile[]): Chosen {
  const shown = files.filter(({ name }) => !isHidden(name));
  shown.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  return { files: shown, hidden: files.length - shown.length };
}

function isHidden(name: string): boolean {
  return name.split('/').some((part) => part.startsWith('.'));
}
