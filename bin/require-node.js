'use strict'
// Runs before the scripts of package.json. Old syntax, so that any Node reaches the sentence.
// The pinned Node is a dependency whose binary an install script fetches: with --ignore-scripts it is missing,
// and npm would then run everything on the system's Node without a word.
var version = process.versions.node.split('.')
if (Number(version[0]) < 24 || (Number(version[0]) === 24 && Number(version[1]) < 15)) {
  console.error(
    'prod: this is Node ' + process.versions.node + ', and prod needs 24.15 or newer. The pinned one is missing: was it installed',
  )
  console.error('prod: with --ignore-scripts? Type: npm rebuild node')
  process.exit(1)
}
