/**
 * The figures of `prod metrics`, as data: what is shown, scraped and drawn, in this order. docs/metrics.md says of each what counts and
 * what does not; the broker counts them. Pure.
 */

/** `share` is 0 to 1; `score` 1 to 5. */
export type FigureUnit = 'count' | 'hours' | 'share' | 'seconds' | 'score'

export interface Figure {
  readonly name: string
  /** for people, lower case */
  readonly words: string
  readonly unit: FigureUnit
}

export interface FigureChapter {
  readonly title: string
  readonly figures: readonly Figure[]
}

const figure = (name: string, words: string, unit: FigureUnit = 'count'): Figure => ({name, words, unit})

/** The one number: how far from zero-touch production. */
export const headline: Figure = figure('zeroTouchShare', 'zero-touch share', 'share')

/** All others, in the order in which they are shown. */
export const chapters: readonly FigureChapter[] = [
  {
    title: 'production shells',
    figures: [
      figure('shellPeopleHeld', 'people who held the right'),
      figure('shellHoursHeld', 'hours it was held', 'hours'),
      figure('shellPeopleUsed', 'people who used it'),
      figure('shellHoursUsed', 'hours it was used', 'hours'),
    ],
  },
  {
    title: 'shells and what stands in their place',
    figures: [
      figure('shells', 'shells'),
      figure('terminals', 'of them at a terminal'),
      figure('assumes', 'of them by an assumed role'),
      figure('execs', 'commands'),
      figure('forwards', 'forwards'),
      figure('shellShare', 'shells among all', 'share'),
      figure('productionUses', 'uses of production'),
      figure('zeroTouchUses', 'of them zero-touch'),
      figure('sessionsRecorded', 'shells recorded'),
      figure('sessionsUnrecorded', 'shells not recorded'),
    ],
  },
  {
    title: 'outside prod',
    figures: [
      figure('entitledPeople', 'people with standing access'),
      figure('entitledHours', 'hours of it', 'hours'),
      figure('outsideShells', 'shells outside prod'),
      figure('outsidePeople', 'people who opened them'),
      figure('outsideHours', 'hours of them', 'hours'),
    ],
  },
  {
    title: 'requests',
    figures: [
      figure('requests', 'requests made'),
      figure('approvedAutomaticallyShare', 'allowed without a person', 'share'),
      figure('approvalSecondsMean', 'until approved, mean', 'seconds'),
      figure('approvalSecondsP50', 'until approved, half within', 'seconds'),
      figure('approvalSecondsP95', 'until approved, 95 % within', 'seconds'),
      figure('usableSecondsP50', 'until usable, half within', 'seconds'),
      figure('usableSecondsP95', 'until usable, 95 % within', 'seconds'),
      figure('refusedByPolicy', 'refused by policy'),
      figure('deniedByPeople', 'denied by people'),
      figure('deniedShare', 'refused or denied', 'share'),
    ],
  },
  {
    title: 'break-glass',
    figures: [
      figure('breakGlass', 'glass broken'),
      figure('reviewsOpen', 'reviews that wait'),
      figure('reviewsOverdue', 'reviews past their time'),
      figure('reviewsDone', 'reviews filed'),
    ],
  },
  {
    title: 'incidents',
    figures: [
      figure('incidents', 'incidents'),
      figure('incidentsTouched', 'of them with human action'),
      figure('incidentsTouchedShare', 'with human action', 'share'),
      figure('incidentsNamed', 'named in prod'),
      figure('restoreSecondsMean', 'until restored, mean', 'seconds'),
      figure('restoreSecondsP50', 'until restored, half within', 'seconds'),
      figure('restoreSecondsP95', 'until restored, 95 % within', 'seconds'),
      figure('restoreSecondsP50Touched', 'with human action, half within', 'seconds'),
      figure('restoreSecondsP50Untouched', 'without, half within', 'seconds'),
      figure('firstTouchSecondsP50', 'until the first action, half within', 'seconds'),
    ],
  },
  {
    title: 'prod itself',
    figures: [
      figure('satisfactionMean', 'how shells went, 1 to 5', 'score'),
      figure('satisfactionAnswers', 'answers to that'),
      figure('cliCommands', 'commands that CLIs told of'),
      figure('cliFailedShare', 'of them failed in prod', 'share'),
      figure('cliDenied', 'of them refused access beyond prod'),
    ],
  },
]

/** Every figure, the headline first. */
export const figures: readonly Figure[] = [headline, ...chapters.flatMap(chapter => chapter.figures)]

/** Those that are told for each day or week, too: what happened then. The others are states, or mean little for so short a time. */
export const plotted = [
  'zeroTouchShare',
  'shells',
  'execs',
  'forwards',
  'shellPeopleUsed',
  'shellHoursHeld',
  'shellHoursUsed',
  'outsideShells',
  'requests',
  'approvedAutomaticallyShare',
  'approvalSecondsP50',
  'approvalSecondsP95',
  'usableSecondsP50',
  'deniedShare',
  'breakGlass',
  'incidents',
  'incidentsTouched',
  'restoreSecondsP50',
  'satisfactionMean',
  'cliCommands',
] as const
