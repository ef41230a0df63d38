/** One reading call of mongosh, by a parser of JavaScript: its tree may hold nothing that is not named. */
import {type Comment, type Expression, type Literal, type Node, parse, type SpreadElement} from 'acorn'
import {judgeBy, refuse} from './judge.ts'
import {cursorCalls, lastCalls, makers, operators, plainCalls, shapingCalls} from './mongosh-operators.ts'

type Part = Expression | SpreadElement | null

/** Judges one expression. */
export const judge = judgeBy(source => {
  const comments: Comment[] = []
  const {body} = parse(source, {ecmaVersion: 2022, sourceType: 'script', onComment: comments})
  const [statement, ...more] = body
  if (statement?.type !== 'ExpressionStatement' || more.length > 0) refuse('it is not exactly one expression')
  if (comments.length > 0) refuse('comments are not allowed')
  checkPrinted(statement.expression)
})

const printers = ['print', 'printjson', 'EJSON.stringify', 'JSON.stringify']

/** The call, or the call in one of the functions that print. */
function checkPrinted(node: Expression): void {
  const name = node.type === 'CallExpression' && node.callee.type !== 'Super' ? nameOf(node.callee) : undefined
  if (node.type === 'CallExpression' && name !== undefined && printers.includes(name)) {
    const [printed, ...options] = node.arguments
    if (!printed || printed.type === 'SpreadElement') refuse(`${name} of what?`)
    for (const option of options) checkValue(option)
    checkPrinted(printed)
  } else checkChain(node)
}

/** `db.COLLECTION.find(…).limit(…)`: from the last call back to the first. */
function checkChain(node: Expression): void {
  const calls: {name: string; given: Part[]}[] = []
  let at: Expression = node
  while (at.type === 'CallExpression') {
    const {callee} = at
    if (at.optional || callee.type !== 'MemberExpression' || callee.computed || callee.optional || callee.property.type !== 'Identifier')
      refuse('a call of something unknown')
    calls.unshift({name: callee.property.name, given: at.arguments})
    if (callee.object.type === 'Super') refuse('super')
    at = callee.object
  }
  let depth = checkMembers(at)
  for (const {given} of calls) for (const value of given) checkValue(value)
  const [first] = calls
  if (depth === 0 && first?.name === 'getCollection') {
    checkCollection(textOf(first.given))
    calls.shift()
    depth = 1
  }
  const [main, ...after] = calls
  if (!main) refuse('nothing is called')
  if (depth === 0) {
    if (main.name !== 'stats' || after.length > 0) refuse(`db.${main.name} is not allowed`)
    return
  }
  if (!cursorCalls.has(main.name) && !plainCalls.has(main.name)) refuse(`${main.name} is not allowed`)
  for (const [index, {name}] of after.entries()) {
    const last = index === after.length - 1
    if (!cursorCalls.has(main.name) || !(shapingCalls.has(name) || (lastCalls.has(name) && (last || after[index + 1]?.name === 'pretty'))))
      refuse(`${name} is not allowed here`)
  }
}

/** `db.a.b` or `db["a"]`: how many names follow `db`. */
function checkMembers(node: Expression): number {
  const names: string[] = []
  let at: Expression = node
  while (at.type === 'MemberExpression') {
    const {property, computed} = at
    if (at.optional || at.object.type === 'Super') refuse('a name of an unknown form')
    if (!computed && property.type === 'Identifier') names.unshift(property.name)
    else if (computed && property.type === 'Literal' && typeof property.value === 'string') names.unshift(property.value)
    else refuse('a name of an unknown form')
    at = at.object
  }
  if (at.type !== 'Identifier' || at.name !== 'db') refuse('it does not begin with db')
  if (names.length > 0) checkCollection(names.join('.'))
  return names.length
}

function checkCollection(name: string): void {
  const secret = /^system\.(?!profile$|views$|buckets\.)/.test(name)
  if (secret || name.split('.').some(part => part === '' || /^(?:__.*__|constructor|prototype)$/.test(part)))
    refuse(`${name} is no collection to read`)
}

function textOf(given: Part[]): string {
  const [only, ...more] = given
  return only?.type === 'Literal' && typeof only.value === 'string' && more.length === 0
    ? only.value
    : refuse('the name of a collection is a text')
}

/** A literal: of JSON, a regular expression, a date or an id; numbers may be reckoned with. */
function checkValue(node: Part): void {
  if (!node) refuse('an empty place in a list')
  if (node.type === 'Literal') return
  if (node.type === 'Identifier') {
    if (!['undefined', 'NaN', 'Infinity', 'MinKey', 'MaxKey'].includes(node.name)) refuse(`${node.name} is not allowed`)
  } else if (node.type === 'ArrayExpression') for (const item of node.elements) checkValue(item)
  else if (node.type === 'ObjectExpression') {
    for (const property of node.properties) {
      if (property.type !== 'Property' || property.kind !== 'init' || property.computed || property.method || property.shorthand)
        refuse('a field of an unknown form')
      const key = property.key as Node
      const name = key.type === 'Identifier' ? (key as Node & {name: string}).name : String((key as Literal).value)
      if (name === '__proto__' || (name.startsWith('$') && !operators.has(name))) refuse(`${name} is not allowed`)
      if (['$lookup', '$graphLookup', '$unionWith'].includes(name)) checkOther(property.value)
      checkValue(property.value)
    }
  } else if (node.type === 'NewExpression' || node.type === 'CallExpression') checkMade(node)
  else checkNumber(node)
}

/** The other collection of $lookup and $unionWith. */
function checkOther(value: Expression): void {
  if (value.type === 'Literal') checkCollection(String(value.value))
  if (value.type !== 'ObjectExpression') return
  for (const property of value.properties) {
    if (property.type !== 'Property') continue
    const key = property.key.type === 'Identifier' ? property.key.name : String((property.key as Literal).value)
    if (key !== 'from' && key !== 'coll') continue
    if (property.value.type !== 'Literal' || typeof property.value.value !== 'string') refuse('another database')
    checkCollection(property.value.value)
  }
}

function checkMade(node: Extract<Expression, {type: 'NewExpression' | 'CallExpression'}>): void {
  const name = node.callee.type === 'Super' ? undefined : nameOf(node.callee)
  if (name === undefined || ('optional' in node && node.optional)) refuse('a call of something unknown')
  if (name === 'Date.now' && node.type === 'CallExpression' && node.arguments.length === 0) return
  if (!makers.has(name)) refuse(`${name} is not allowed`)
  for (const value of node.arguments) checkValue(value)
}

/** `-5`, `24 * 60 * 60 * 1000`, `Date.now() - 3600000` */
function checkNumber(node: Expression | SpreadElement): void {
  if (node.type === 'UnaryExpression' && ['-', '+'].includes(node.operator)) checkNumber(node.argument)
  else if (node.type === 'BinaryExpression' && ['+', '-', '*', '/'].includes(node.operator) && node.left.type !== 'PrivateIdentifier') {
    checkNumber(node.left)
    checkNumber(node.right)
  } else if (node.type === 'NewExpression' || node.type === 'CallExpression') checkMade(node)
  else if (node.type !== 'Literal' || typeof node.value !== 'number') refuse(`${node.type} is not allowed`)
}

/** `print`, `JSON.stringify` */
function nameOf(node: Expression): string | undefined {
  if (node.type === 'Identifier') return node.name
  if (node.type !== 'MemberExpression' || node.computed || node.optional || node.object.type !== 'Identifier') return undefined
  return node.property.type === 'Identifier' ? `${node.object.name}.${node.property.name}` : undefined
}
