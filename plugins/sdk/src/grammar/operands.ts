/** Values that need care outside the grammar: paths that the broker resolves, secrets that nobody may read. */
import type {ToolClass} from '../domain.ts'
import {compile} from './compile.ts'
import type {Grammar, Structure, ValueSpec} from './grammar.ts'
import {print} from './print.ts'
import {allOf, specOf, testValue} from './values.ts'

/** A path in argv, to be resolved without symlinks below one of `below` before the run (TM-H14). */
export interface PathOperand {
  /** of the option or operand */
  name: string
  value: string
  below: string[]
  /** it may be a directory (`slash`); else it is a regular file */
  folder: boolean
}

/** The command, the one behind it, and so on: each is judged by its own tool's definition. */
export function layersOf(structure: Structure): Structure[] {
  return structure.inner ? [structure, ...layersOf(structure.inner)] : [structure]
}

/** The class of the whole: that of the layer which does most. */
export function strongestClass(structure: Structure): ToolClass {
  const classes = new Set(layersOf(structure).map(layer => layer.class))
  return (['shell', 'admin', 'change'] as const).find(one => classes.has(one)) ?? 'read'
}

/** Every path in argv: operands, values of options, and pieces of either. Of this layer alone: see {@link layersOf}. */
export function pathOperands(structure: Structure, grammar: Grammar): PathOperand[] {
  return valuesOf(structure, grammar).flatMap(({name, value, spec}) => pathsIn(value, spec).map(found => ({name, ...found})))
}

/** Does argv hold a value that the grammar calls a secret? */
export function hasSecret(structure: Structure, grammar: Grammar): boolean {
  return valuesOf(structure, grammar).some(({spec}) => spec.secret === true)
}

/** Does any option or operand of the tool take a secret? */
export function takesSecrets(grammar: Grammar): boolean {
  return compile(grammar).commands.some(
    ({options, operands}) =>
      [...options.values()].some(({type}) => type?.secret === true) || operands.some(({type}) => specOf(type).secret === true),
  )
}

/** argv for people and for the record: each secret is `[secret]`. */
export function redactArgv(structure: Structure, grammar: Grammar): string[] {
  return print(redactStructure(structure, grammar))
}

/** The structure for people and for the record: each secret is `[secret]`. */
export function redactStructure(structure: Structure, grammar: Grammar): Structure {
  const types = typesOf(structure, grammar)
  const isSecret = (name: string): boolean => types.get(name)?.secret === true
  return {
    ...structure,
    parts: structure.parts.map(part =>
      'value' in part && part.value !== null && isSecret(part.name) ? {...part, value: '[secret]'} : part,
    ),
    arguments: Object.fromEntries(
      Object.entries(structure.arguments).map(([name, values]) => [name, isSecret(name) ? values.map(() => '[secret]') : values]),
    ),
  }
}

function valuesOf(structure: Structure, grammar: Grammar): {name: string; value: string; spec: ValueSpec}[] {
  const types = typesOf(structure, grammar)
  return structure.parts.flatMap(part => {
    if (!('value' in part) || part.value === null) return []
    const spec = types.get(part.name)
    return spec ? [{name: part.name, value: part.value, spec}] : []
  })
}

function typesOf(structure: Structure, grammar: Grammar): Map<string, ValueSpec> {
  const command = compile(grammar).commands[structure.command]
  const types = new Map<string, ValueSpec>()
  for (const option of command?.options.values() ?? []) if (option.type) types.set(option.name, option.type)
  for (const operand of command?.operands ?? []) types.set(operand.name, specOf(operand.type))
  return types
}

function pathsIn(value: string, spec: ValueSpec): {value: string; below: string[]; folder: boolean}[] {
  if (spec.type === 'path') return [{value, below: spec.below ?? [], folder: spec.slash === true}]
  const types = allOf(spec)
  if (types.length === 0) return []
  const [first] = types
  if (spec.type === 'list' && first) return value.split(spec.separator ?? ',').flatMap(item => pathsIn(item, first))
  if (spec.type === 'any') return types.filter(type => testValue(value, type, true)).flatMap(type => pathsIn(value, type))
  const pieces = value.split(spec.separator ?? '')
  return types.flatMap((type, index) =>
    pathsIn(index < types.length - 1 ? (pieces[index] as string) : pieces.slice(index).join(spec.separator), type),
  )
}
