/**
 * The server, from a browser: every call goes by name through the table of operations.
 *
 *     const client = new Client();
 *     const app = await client.call('app', { params: { owner, app } });
 */
import { BASE, OPERATIONS } from './api';
import type { Answers, Bodies, Fault, Name, Parameters, Queries, UploadedFile, UploadQuery } from './api';

export interface CallOptions<N extends Name> {
  params?: Parameters[N];
  query?: N extends keyof Queries ? Queries[N] : undefined;
  body?: N extends keyof Bodies ? Bodies[N] : undefined;
  signal?: AbortSignal;
}

/** Where the server is, and what to show it. */
export interface Settings {
  baseUrl: string;
  token: string;
}

/** An error of the server in its own words; `code` is the class's name, `faults` names each field or file. */
export class ApiError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly faults: Fault[] = [],
    readonly status = 0,
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

const UPLOAD_ATTEMPTS = 4;
const RETRY_MILLISECONDS = 500;

export class Client {
  readonly settings: Settings;

  constructor(settings: Partial<Settings> = {}) {
    this.settings = { ...serverSettings(), ...settings };
  }

  /** Carries out an operation and gives its answer. */
  async call<N extends Name>(name: N, options: CallOptions<N> = {}): Promise<Answers[N]> {
    const headers = this.headers();
    const body = options.body === undefined ? undefined : JSON.stringify(options.body);
    if (body !== undefined) {
      headers['Content-Type'] = 'application/json';
    }
    const response = await this.request(this.url(name, options.params, options.query), {
      method: OPERATIONS[name].verb,
      headers,
      body,
      signal: options.signal,
    });
    return (await response.json()) as Answers[N];
  }

  /** The bytes of a picture, for pages whose cookies do not reach the server. */
  async blob<N extends Name>(name: N, options: CallOptions<N> = {}): Promise<Blob> {
    const url = this.url(name, options.params, options.query);
    return (await this.request(url, { headers: this.headers(), signal: options.signal })).blob();
  }

  /** A response that may be read piece by piece (the stream). */
  async open<N extends Name>(name: N, options: CallOptions<N> = {}): Promise<Response> {
    const url = this.url(name, options.params, options.query);
    return this.request(url, { headers: this.headers(), signal: options.signal, cache: 'no-store' });
  }

  /** The address of an operation. Pictures use it in `src`: the page's own cookies vouch for them, no token is shown. */
  url<N extends Name>(name: N, params?: Parameters[N], query?: CallOptions<N>['query']): string {
    const given = (params ?? {}) as Record<string, string>;
    const path = OPERATIONS[name].path.replace(/{(\w+)}/g, (_, key: string) =>
      encodeURIComponent(given[key]),
    );
    const search = new URLSearchParams();
    for (const [key, value] of Object.entries((query ?? {}) as Record<string, unknown>)) {
      if (value !== undefined && value !== null) {
        search.set(key, String(value));
      }
    }
    const text = search.toString();
    return this.settings.baseUrl.replace(/\/$/, '') + BASE + path + (text ? `?${text}` : '');
  }

  /** Sends one file as the raw body; `onProgress` hears the bytes sent. A lost connection is tried again. */
  async upload(
    params: Parameters['upload_file'],
    name: string,
    file: Blob,
    onProgress?: (sent: number) => void,
    signal?: AbortSignal,
  ): Promise<UploadedFile> {
    const url = this.url('upload_file', params, { name } as UploadQuery);
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.send(url, file, onProgress, signal);
      } catch (error) {
        const lost = error instanceof ApiError && (error.status === 0 || error.status === 503);
        if (!lost || attempt >= UPLOAD_ATTEMPTS || signal?.aborted) {
          throw error;
        }
        onProgress?.(0);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MILLISECONDS * 2 ** (attempt - 1)));
      }
    }
  }

  private send(
    url: string,
    file: Blob,
    onProgress?: (sent: number) => void,
    signal?: AbortSignal,
  ): Promise<UploadedFile> {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      const abort = (): void => request.abort();
      request.open(OPERATIONS.upload_file.verb, url);
      request.withCredentials = true;
      for (const [key, value] of Object.entries(this.headers())) {
        request.setRequestHeader(key, value);
      }
      request.setRequestHeader('Content-Type', 'application/octet-stream');
      request.upload.onprogress = (event) => onProgress?.(event.loaded);
      request.onload = () => {
        if (request.status >= 200 && request.status < 300) {
          resolve(JSON.parse(request.responseText) as UploadedFile);
        } else {
          reject(errorOf(request.status, request.responseText));
        }
      };
      request.onerror = () => reject(new ApiError('Unreachable', 'The connection to the server was lost.'));
      request.onabort = () => reject(new DOMException('The upload was cancelled.', 'AbortError'));
      request.onloadend = () => signal?.removeEventListener('abort', abort);
      if (signal?.aborted) {
        reject(new DOMException('The upload was cancelled.', 'AbortError'));
        return;
      }
      signal?.addEventListener('abort', abort);
      request.send(file);
    });
  }

  private async request(url: string, init: RequestInit): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(url, { ...init, credentials: 'same-origin' });
    } catch (error) {
      if (error instanceof DOMException && error.name === 'AbortError') {
        throw error;
      }
      throw new ApiError('Unreachable', 'The server does not answer. Is JupyterLab still running?');
    }
    if (!response.ok) {
      throw errorOf(response.status, await response.text());
    }
    return response;
  }

  private headers(): Record<string, string> {
    const headers: Record<string, string> = { Accept: 'application/json' };
    if (this.settings.token) {
      headers['Authorization'] = `token ${this.settings.token}`;
    }
    const xsrf = cookie('_xsrf');
    if (xsrf) {
      headers['X-XSRFToken'] = xsrf;
    }
    return headers;
  }
}

/** Base URL and token of the page: JupyterLab's page config, or the data of a classic page's body. */
export function serverSettings(): Settings {
  const element = document.getElementById('jupyter-config-data');
  let config: Record<string, unknown> = {};
  try {
    config = JSON.parse(element?.textContent ?? '{}') as Record<string, unknown>;
  } catch {
    // A page without a readable configuration is served from the root, with cookies.
  }
  const data = document.body.dataset;
  return {
    baseUrl: String(config['baseUrl'] ?? data['baseUrl'] ?? '/'),
    token: String(config['token'] ?? data['jupyterApiToken'] ?? ''),
  };
}

function errorOf(status: number, text: string): ApiError {
  try {
    const payload = JSON.parse(text) as { error?: string; message?: string; faults?: Fault[] };
    if (payload.message) {
      return new ApiError(payload.error ?? `HTTP ${status}`, payload.message, payload.faults ?? [], status);
    }
  } catch {
    // Not ours: a proxy's page, or a server without the extension.
  }
  const reason =
    status === 404
      ? 'This server does not know the address: is the DeepFT Lab server extension enabled?'
      : `The server answered ${status}.`;
  return new ApiError(`HTTP ${status}`, reason, [], status);
}

function cookie(name: string): string {
  const match = document.cookie.match(new RegExp(`(?:^|; )${name}=([^;]*)`));
  return match ? decodeURIComponent(match[1]) : '';
}
