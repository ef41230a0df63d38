import {type ErrorCode, ProdError} from '@prod/sdk/errors'

/** One thing that is wrong in the files of a bundle. */
export interface Finding {
  /** from the bundle's root: `catalog/tools/unit.yaml` */
  file: string
  /** where in the file's data: `commands[1].options` */
  path?: string
  line?: number
  column?: number
  /** what is so: lower case, no full stop */
  message: string
  /** what to do about it */
  mend?: string
  /** the dangerous shape it is, by which an override names it */
  lint?: string
}

/** `catalog/tools/unit.yaml:7:3 commands[1].class: must be one of … (mend)`. Pure. */
export function showFinding({file, path, line, column, message, mend, lint}: Finding): string {
  const place = [file, line, column].filter(part => part !== undefined).join(':')
  return `${place} ${lint ? `${lint}: ` : ''}${path ? `${path}: ` : ''}${message}${mend ? ` (${mend})` : ''}`
}

/** A bundle that does not load, with everything that is wrong with it. `code`: CATALOG_INVALID or POLICY_INVALID. */
export class BundleRefused extends ProdError {
  readonly findings: Finding[]
  constructor(findings: Finding[]) {
    const code: ErrorCode = findings.some(finding => finding.file.startsWith('catalog')) ? 'CATALOG_INVALID' : 'POLICY_INVALID'
    const more = findings.length > 1 ? `, and ${findings.length - 1} more` : ''
    super(
      code,
      `the bundle does not load: ${findings[0] ? showFinding(findings[0]) : 'nothing to load'}${more}`,
      'prod policy check --dir DIR',
    )
    this.findings = findings
  }
}
