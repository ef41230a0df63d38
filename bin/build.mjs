// Bundles the CLI in one run: main, fast, and every command of the root and of each plugin (ADR 0001), then writes the
// manifests. `--check` compares the manifests with the committed ones instead of writing them.
import {createHash} from 'node:crypto'
import {existsSync, globSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync} from 'node:fs'
import {dirname, join, relative, resolve} from 'node:path'
import {fileURLToPath} from 'node:url'
import {Plugin} from '@oclif/core/config'
import {rolldown} from 'rolldown'

const root = realpathSync(join(dirname(fileURLToPath(import.meta.url)), '..'))
const readJson = file => JSON.parse(readFileSync(join(root, file), 'utf8'))

/** Folders of the bundle: the root's, and one in each plugin that has commands, so that oclif finds them under that plugin. */
const plugins = readdirSync(join(root, 'plugins')).filter(name => existsSync(join(root, 'plugins', name, 'src/commands')))
const bundles = [
  {from: 'src/commands', to: 'dist/commands'},
  ...plugins.map(name => ({
    from: `plugins/${name}/src/commands`,
    to: `plugins/${name}/dist/bundle/commands`,
  })),
]

const input = {
  'dist/main': 'src/main.ts',
  'dist/fast': 'src/fast.ts',
  'dist/code-cache': 'src/code-cache.ts',
}
for (const {from, to} of bundles) {
  for (const file of globSync('**/*.ts', {cwd: join(root, from)})) input[`${to}/${file.slice(0, -'.ts'.length)}`] = `${from}/${file}`
}

/** Explainers are many small tables: one file loads in a third of the time. The package's entry is that file. */
const explainers = readJson('package.json').oclif.explainers.map(name => name.slice('@prod/'.length))
for (const name of explainers) input[`plugins/${name}/dist/bundle/index`] = `plugins/${name}/src/index.ts`

/** What every list of roles loads: one file, `@prod/NAME/roles`. */
for (const name of readJson('package.json').oclif.roleSources.map(path => path.split('/')[1])) {
  input[`plugins/${name}/dist/bundle/roles`] = `plugins/${name}/src/role-source.ts`
}

/** The broker, primitives and notifiers are loaded by name at run time; native and WebAssembly packages cannot be bundled. */
const external =
  /^(@prod\/(?!sdk(\/|$))|@napi-rs\/keyring|@cedar-policy\/|@lydell\/node-pty|fastify$|oidc-provider$|typescript$|ts-node$|tsx$|pnpapi$)/

/** oclif formats debug lines that nobody reads: 4 ms. */
const stubDebug = {
  name: 'stub-debug',
  resolveId: id => (id === 'debug' ? '\0debug' : undefined),
  load: id => (id === '\0debug' ? 'module.exports = () => Object.assign(() => {}, {enabled: false})' : undefined),
}

/**
 * What oclif does at every start and nobody here needs: sorting ids by locale (the first call loads ICU: 7 ms), looking for
 * Windows underneath, for which it loads child_process (3 ms), plugins by patterns (4 ms), files through threads (2 ms),
 * and `import`, which kept code (src/code-cache.ts) has not: `require` reads both kinds of modules.
 */
const oclifChanges = {
  'config/plugin.js': ['a.id.localeCompare(b.id)', '(a.id < b.id ? -1 : a.id > b.id ? 1 : 0)'],
  'config/ts-path.js': ['await import(href)', 'require(tsxPath)'],
  'config/plugin-loader.js': ['(0, minimatch_1.minimatch)(p, w)', 'p === w'],
  'module-loader.js': ['await import((0, node_url_1.pathToFileURL)(filePath).href)', 'require(filePath)'],
  'util/fs.js': ["await (0, promises_1.readFile)(path, 'utf8')", "(0, node_fs_1.readFileSync)(path, 'utf8')"],
  'util/os.js': ["(await import('wsl-utils')).isWsl ? 'wsl' : ", ''],
}

/** Besides, each of its modules is loaded when it is first used, not where it is named: a start uses a third of them. */
const lighterOclif = {
  name: 'lighter-oclif',
  transform(code, id) {
    const file = id.split('/node_modules/@oclif/core/lib/')[1]
    if (!file) return
    const [from = '', to = ''] = oclifChanges[file] ?? []
    if (!code.includes(from)) this.error(`oclif's ${file} no longer has ${from}: look again at oclifChanges`)
    return requireLater(code.replaceAll(from, to), /^(?:const|var) (\w+) = ((?:__import\w+\()?require\(.+\));$/gm)
  },
}

/** ws names what only https: and compression need; a development broker has neither (5 ms). */
const lighterWs = {
  name: 'lighter-ws',
  transform: (code, id) =>
    id.includes('/node_modules/ws/lib/') ? requireLater(code, /^const (https|tls|zlib) = (require\(.+\));$/gm) : undefined,
}

/** Turns `const name = require(…)` into what the first `name.…` loads. */
function requireLater(code, imports) {
  const found = [...code.matchAll(imports)]
  if (found.length === 0) return code
  const uses = new RegExp(`(?<!\\w|[^.]\\.)(${found.map(([, name]) => name).join('|')})(?=[.()])`, 'g')
  const later = found.map(([, name, load]) => `var ${name}_; function ${name}() { return ${name}_ ??= ${load} }`)
  return [code.replace(imports, '').replace(uses, '($1())'), ...later].join('\n')
}

/** A command reaches its plugin's other code by the package's name, so that the server stays out of the bundle. */
const commandsStandAlone = {
  name: 'commands-stand-alone',
  resolveId(id, importer) {
    const plugin = importer && /\/plugins\/[^/]+\/src\/commands\//.exec(importer)
    if (!plugin || !id.startsWith('.')) return
    const home = importer.slice(0, plugin.index + plugin[0].length)
    if (!resolve(dirname(importer), id).startsWith(home))
      this.error(`${relative(root, importer)}: import ${id} by the package's name, lazily`)
  },
}

const options = {
  cwd: root,
  platform: 'node',
  external,
  resolve: {conditionNames: ['source', 'node', 'import', 'require', 'default']},
  plugins: [stubDebug, lighterOclif, lighterWs, commandsStandAlone],
  onLog(level, log, handle) {
    // oclif's own: it reads a package name that only exists in Yarn's plug and play
    if (log.code !== 'UNRESOLVED_IMPORT' || !/node_modules/.test(log.id ?? '')) handle(level, log)
  },
}
const form = {format: 'cjs', minify: true, dynamicImportInCjs: false, exports: 'named'}
const build = await rolldown({...options, input})
const {output} = await build.write({
  ...form,
  dir: root,
  entryFileNames: '[name].js',
  chunkFileNames: 'dist/chunks/[name]-[hash].js',
})
await build.close()
// what a plugin answers before oclif is loaded: one file, since each further one is half a millisecond
for (const name of plugins) {
  if (!existsSync(join(root, 'plugins', name, 'src/fast.ts'))) continue
  const fast = await rolldown({...options, input: `plugins/${name}/src/fast.ts`})
  const written = await fast.write({...form, file: join(root, `plugins/${name}/dist/bundle/fast.js`), codeSplitting: false})
  output.push(...written.output.map(chunk => ({...chunk, fileName: `plugins/${name}/dist/bundle/fast.js`})))
  await fast.close()
}

// which source modules lie in which file: for test/startup.test.ts, which knows what a start may load
const modules = Object.fromEntries(
  output.filter(({type}) => type === 'chunk').map(({fileName, moduleIds}) => [fileName, moduleIds.map(id => relative(root, id))]),
)
writeFileSync(join(root, 'dist/modules.json'), JSON.stringify(modules, null, 1))

const written = new Set(output.map(({fileName}) => fileName))
for (const folder of ['dist', ...[...plugins, ...explainers].map(name => `plugins/${name}/dist/bundle`)]) {
  mkdirSync(join(root, folder), {recursive: true})
  writeFileSync(join(root, folder, 'package.json'), '{"type": "commonjs"}\n')
}
// compiled code that is kept is of one build alone (src/code-cache.ts)
const digest = createHash('sha256')
for (const {fileName, code} of output) digest.update(`${fileName}\0${code}\0`)
writeFileSync(join(root, 'dist/build.json'), JSON.stringify({build: digest.digest('hex').slice(0, 16)}))
for (const folder of ['dist/chunks', ...bundles.map(({to}) => to)]) {
  for (const file of globSync('**/*.js', {cwd: join(root, folder)})) {
    if (!written.has(`${folder}/${file}`)) rmSync(join(root, folder, file), {force: true})
  }
}

/** One plugin's index of commands, as oclif reads it at start instead of loading them. */
async function manifest(folder, isRoot) {
  const plugin = new Plugin({
    root: join(root, folder),
    pjson: readJson(join(folder, 'package.json')),
    isRoot: true,
    ignoreManifest: true,
    errorOnManifestCreate: true,
    respectNoCacheDefault: true,
    type: 'core',
  })
  await plugin.load()
  const commands = Object.fromEntries(
    Object.entries(plugin.manifest.commands)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([id, {pluginAlias, pluginName, pluginType, ...command}]) => [id, {...command, pluginName, ...(isRoot ? {} : {pluginAlias})}]),
  )
  return `${JSON.stringify({commands, version: plugin.version}, null, 2)}\n`
}

let stale = false
for (const folder of ['.', ...plugins.map(name => `plugins/${name}`)]) {
  const file = join(folder, 'oclif.manifest.json')
  const now = await manifest(folder, folder === '.')
  const before = existsSync(join(root, file)) ? readFileSync(join(root, file), 'utf8') : ''
  if (now === before) continue
  if (!process.argv.includes('--check')) writeFileSync(join(root, file), now)
  else {
    stale = true
    console.error(`${file} is stale; type: npm run build, and commit it`)
  }
}
process.exit(stale ? 1 : 0)
