/** Programs where a session is a terminal and nothing else: input, output, errors and status carried over it as lines. */
export {type ProgramOptions, runProgram} from './run.ts'
export {ending, finishText, labelOf, type Mark, newMark, scriptText, startText} from './script.ts'
