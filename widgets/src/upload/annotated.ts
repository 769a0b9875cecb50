/**
 * Pictures that have annotations of their own: VOC, COCO, masks. Python's `app.upload` reads them; from here the
 * pictures come alone, so a person is asked before.
 */
import type { CreateUpload } from '../api';
import type { AppTarget } from '../context';
import { call, connectLines } from '../form/python';
import type { ChosenFile } from './files';

export type Format = 'voc' | 'coco' | 'masks';

export const FORMAT_NAMES: Record<Format, string> = { voc: 'Pascal VOC', coco: 'COCO', masks: 'masks' };

export interface Annotated {
  format: Format;
  /** All but the files of annotations. */
  pictures: ChosenFile[];
}

const LOOKED_AT = 20; // files, to see whether one is an annotation
const LOOK_BYTES = 4096; // at the beginning and the end of a file
const KEYS = ['"images"', '"annotations"', '"categories"']; // of COCO; the middle of a file may hold one
const IMAGE_FOLDERS = new Set(['images', 'image', 'imgs', 'img', 'jpegimages']);
const MASK_FOLDERS = new Set([
  ...['masks', 'mask', 'labels', 'label', 'annotations', 'gt'],
  ...['segmentationclass', 'segmentations', 'segmentation'],
]);

/** What of the files annotates the others; null where nothing does. */
export async function annotationsAmong(files: ChosenFile[]): Promise<Annotated | null> {
  const ending = (end: string) => files.filter(({ name }) => name.toLowerCase().endsWith(end));
  const [xml, json] = [ending('.xml'), ending('.json')];
  if (await some(xml, (text) => text.includes('<annotation'))) {
    return { format: 'voc', pictures: without(files, xml) };
  }
  if (await some(json, (text) => KEYS.filter((key) => text.includes(key)).length > 1)) {
    return { format: 'coco', pictures: without(files, json) };
  }
  const masks = masksAmong(files);
  return masks.length > 0 ? { format: 'masks', pictures: without(files, masks) } : null;
}

/** The call that uploads them with their regions. */
export function annotatedCode(
  target: AppTarget,
  files: ChosenFile[],
  format: Format,
  set: CreateUpload,
): string {
  const keywords: [string, unknown][] = [
    ['dataset', set.dataset],
    ['concepts', set.concepts?.length ? set.concepts : null],
    ['metadata', Object.keys(set.metadata ?? {}).length > 0 ? set.metadata : null],
    ['format', format],
  ];
  const folder = files[0].name.includes('/') ? files[0].name.split('/')[0] : '.';
  const given = keywords.filter(([, value]) => value !== null && value !== undefined);
  return [...connectLines(target.app), call('app.upload', [folder], given)].join('\n');
}

async function some(files: ChosenFile[], is: (text: string) => boolean): Promise<boolean> {
  for (const { file } of files.slice(0, LOOKED_AT)) {
    const ends = [file.slice(0, LOOK_BYTES), file.slice(-LOOK_BYTES)];
    const texts = await Promise.all(ends.map((end) => end.text().catch(() => '')));
    if (is(texts.join(''))) {
      return true;
    }
  }
  return false;
}

/** Pictures in a folder of masks that have a partner of the same name in a folder of images. */
function masksAmong(files: ChosenFile[]): ChosenFile[] {
  const images = new Set(files.map(({ name }) => partner(name, IMAGE_FOLDERS)));
  return files.filter(({ name }) => {
    const wanted = partner(name, MASK_FOLDERS);
    return wanted !== null && images.has(wanted);
  });
}

/** A path without its ending and without the last folder of these names; null where it lies in none. */
function partner(name: string, folders: Set<string>): string | null {
  const parts = name.split('/');
  const file = parts.pop() ?? '';
  const place = parts.map((part) => folders.has(part.toLowerCase())).lastIndexOf(true);
  const stem = file.replace(/\.[^.]*$/, '').replace(/[_-](mask|labels?|seg|segmentation|gt)$/, '');
  return place < 0 ? null : [...parts.slice(0, place), ...parts.slice(place + 1), stem].join('/');
}

function without(files: ChosenFile[], gone: ChosenFile[]): ChosenFile[] {
  const those = new Set(gone);
  return files.filter((file) => !those.has(file));
}
