import assert from 'node:assert/strict';
import test from 'node:test';
import type { Client } from '../../widgets/src/client';
import { Stream, type StreamMessage } from '../../widgets/src/stream';

Object.assign(globalThis, {
  window: globalThis,
  document: { hidden: false, addEventListener: () => undefined, removeEventListener: () => undefined },
});

/** A server whose connections send their pieces and end; it remembers the cursors that it was asked with. */
function serverOf(connections: string[][]): { client: Client; cursors: (string | undefined)[] } {
  const cursors: (string | undefined)[] = [];
  const open = async (_: string, options: { query?: { after?: string } }): Promise<Response> => {
    cursors.push(options.query?.after);
    const pieces = connections.shift();
    const encoder = new TextEncoder();
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        pieces?.forEach((piece) => controller.enqueue(encoder.encode(piece)));
        if (pieces) {
          controller.close();
        }
      },
    });
    return new Response(body);
  };
  return { client: { open } as unknown as Client, cursors };
}

function message(seq: number): string {
  const data = { job: 'j', owner: 'o', app: 'a', model: 'm', version: 'v1', event: { seq } };
  return `id: j:${seq}\nevent: event\ndata: ${JSON.stringify(data)}\n\n`;
}

function hear(client: Client, until: (seqs: number[]) => boolean): Promise<number[]> {
  return new Promise((resolve) => {
    const seqs: number[] = [];
    const end = new Stream(client).subscribe((heard: StreamMessage) => {
      if (heard.kind === 'event') {
        seqs.push(heard.data.event.seq);
        if (until(seqs)) {
          end();
          resolve(seqs);
        }
      }
    });
  });
}

test('messages that are cut anywhere are put together', async () => {
  const text = [1, 2, 3].map(message).join(': heartbeat\n\n');
  const { client } = serverOf([[...text]]);
  assert.deepEqual(await hear(client, (seqs) => seqs.length === 3), [1, 2, 3]);
});

test('a lost connection goes on from the last message, without doubles', async () => {
  const { client, cursors } = serverOf([
    [message(1), message(2)],
    [message(2), message(3)],
  ]);
  assert.deepEqual(await hear(client, (seqs) => seqs.includes(3)), [1, 2, 3]);
  assert.deepEqual(cursors, [undefined, 'j:2']);
});

test('a message that cannot be read does not end the stream', async () => {
  const { client } = serverOf([[message(1), 'event: event\ndata: {broken\n\n'], [message(2)]]);
  assert.deepEqual(await hear(client, (seqs) => seqs.includes(2)), [1, 2]);
});
