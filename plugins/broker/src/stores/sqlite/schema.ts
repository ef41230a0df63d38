import type {DatabaseSync} from 'node:sqlite'
import {ProdError} from '@prod/sdk/errors'

/**
 * Tables. `entries` with its `leaf` hashes, `nodes` and `checkpoints` are what verifyFolder of @prod/sdk reads: a change
 * here is a change there. What entries are searched by is computed from the envelope, so that it cannot say otherwise.
 */
export const schemaVersion = 1

export const schema = `
CREATE TABLE records (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, value TEXT NOT NULL,
  state TEXT, owner TEXT, due_at TEXT,
  UNIQUE (kind, id)
);
CREATE INDEX records_state ON records (kind, state) WHERE state IS NOT NULL;
CREATE INDEX records_owner ON records (kind, owner) WHERE owner IS NOT NULL;
CREATE INDEX records_due ON records (kind, due_at) WHERE due_at IS NOT NULL;

CREATE TABLE outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  channel TEXT NOT NULL, notice TEXT NOT NULL, created_at TEXT NOT NULL,
  due_at TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0, dead INTEGER NOT NULL DEFAULT 0, why TEXT
);
CREATE INDEX outbox_due ON outbox (dead, due_at);

CREATE TABLE entries (
  idx INTEGER PRIMARY KEY,
  envelope TEXT NOT NULL, openings TEXT NOT NULL, leaf BLOB NOT NULL,
  type TEXT AS (envelope ->> '$.type') VIRTUAL,
  subject TEXT AS (envelope ->> '$.subject') VIRTUAL
);
CREATE INDEX entries_type ON entries (type);
CREATE INDEX entries_subject ON entries (subject);

CREATE TABLE nodes (level INTEGER NOT NULL, idx INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (level, idx)) WITHOUT ROWID;
CREATE TABLE checkpoints (size INTEGER PRIMARY KEY, note TEXT NOT NULL);
CREATE TABLE holder (one INTEGER PRIMARY KEY CHECK (one = 1), token TEXT NOT NULL);

PRAGMA user_version = ${schemaVersion};
`

/** The version of the tables in a file; 0 where there are none yet. */
export function versionOf(db: DatabaseSync): number {
  return Number(db.prepare('PRAGMA user_version').get()!.user_version)
}

/** Whether this program reads tables of that version. Throws STORE_UNAVAILABLE: an older file is brought on first, a newer one is for a newer prod. Pure. */
export function checkVersion(file: string, version: number, current: number = schemaVersion): void {
  if (version > current) {
    throw new ProdError(
      'STORE_UNAVAILABLE',
      `${file} has tables of version ${version} and this prod knows ${current}: a newer prod wrote it`,
      'prod --version',
    )
  }
  if (version < current) {
    throw new ProdError(
      'STORE_UNAVAILABLE',
      `${file} has tables of version ${version} and this prod needs ${current}`,
      'prod broker migrate --config FILE',
    )
  }
}
