/** What the development provider remembers, in a file of its own: a restart of the broker ends no login. */
import {closeSync, constants, openSync} from 'node:fs'
import {DatabaseSync} from 'node:sqlite'
import type {Adapter, AdapterPayload} from 'oidc-provider'

/** One table for all that oidc-provider keeps. `close` when the provider stops. */
export function openMemory(file: string): {adapter: (model: string) => Adapter; close(): void} {
  closeSync(openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600))
  const db = new DatabaseSync(file)
  db.exec(`
    PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA synchronous = FULL;
    CREATE TABLE IF NOT EXISTS kept (model TEXT NOT NULL, id TEXT NOT NULL, payload TEXT NOT NULL, grant_id TEXT, uid TEXT, expires_at INTEGER, PRIMARY KEY (model, id)) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS kept_by_grant ON kept (grant_id);
    CREATE INDEX IF NOT EXISTS kept_by_uid ON kept (model, uid);
  `)
  const seconds = (): number => Math.floor(Date.now() / 1000)
  db.prepare('DELETE FROM kept WHERE expires_at <= ?').run(seconds())
  const upsert = db.prepare('INSERT OR REPLACE INTO kept (model, id, payload, grant_id, uid, expires_at) VALUES (?, ?, ?, ?, ?, ?)')
  const find = db.prepare('SELECT payload FROM kept WHERE model = ? AND id = ? AND (expires_at IS NULL OR expires_at > ?)')
  const findByUid = db.prepare('SELECT payload FROM kept WHERE model = ? AND uid = ? AND (expires_at IS NULL OR expires_at > ?)')
  const consume = db.prepare("UPDATE kept SET payload = json_set(payload, '$.consumed', ?) WHERE model = ? AND id = ?")
  const destroy = db.prepare('DELETE FROM kept WHERE model = ? AND id = ?')
  const revoke = db.prepare('DELETE FROM kept WHERE grant_id = ?')
  const read = (row: Record<string, unknown> | undefined): AdapterPayload | undefined =>
    row ? (JSON.parse(row.payload as string) as AdapterPayload) : undefined

  return {
    adapter: model => ({
      upsert: async (id, payload, expiresIn) => {
        upsert.run(
          model,
          id,
          JSON.stringify(payload),
          payload.grantId ?? null,
          payload.uid ?? null,
          expiresIn === undefined ? null : seconds() + expiresIn,
        )
      },
      find: async id => read(find.get(model, id, seconds())),
      findByUid: async uid => read(findByUid.get(model, uid, seconds())),
      findByUserCode: async () => undefined, // no device flow
      consume: async id => {
        consume.run(seconds(), model, id)
      },
      destroy: async id => {
        destroy.run(model, id)
      },
      revokeByGrantId: async grantId => {
        revoke.run(grantId)
      },
    }),
    close: () => db.close(),
  }
}
