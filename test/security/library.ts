/** The library's own unit tests as data. */
import {readdirSync, readFileSync} from 'node:fs'
import {join} from 'node:path'
import {parse} from 'yaml'

interface Case {
  argv?: string[]
  expect: string
}

/** Every line that a unit test of the library expects to be allowed. */
export function readAllowed(library: string): string[][] {
  return readCases(library).flatMap(({argv, expect}) => (argv && expect === 'allow' ? [argv] : []))
}

/** All unit tests of the library. */
export function readCases(library: string): Case[] {
  const folder = join(library, 'policy/tests')
  return readdirSync(folder).flatMap(name => parse(readFileSync(join(folder, name), 'utf8')) as Case[])
}
