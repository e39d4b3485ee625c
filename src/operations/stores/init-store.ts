import type { StoreSession } from '../store-access/store-session.ts';

/** What `vmferry init` has done. */
export interface StoreMadeReport {
  type: 'store-made';
  store: string;
  /** 32 hex digits. */
  id: string;
  encrypted: boolean;
}

export function storeMade({ store, opened }: Pick<StoreSession, 'store' | 'opened'>): StoreMadeReport {
  return { type: 'store-made', store: store.location, id: opened.id, encrypted: opened.key !== null };
}
