/** What each shell sources. All knowledge is behind `prod --complete SHELL …`, so that a script never grows old. */
export const scripts = {
  bash: `# completion of prod for bash; put into ~/.bashrc:  source <(prod autocomplete bash)
_prod() {
  local word
  COMPREPLY=()
  while IFS= read -r word; do
    if [[ "$word" == '!' ]]; then compopt +o bashdefault +o default 2>/dev/null; else COMPREPLY+=("$word"); fi
  done < <(prod --complete bash "\${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
}
complete -o bashdefault -o default -F _prod prod
`,
  zsh: `#compdef prod
# completion of prod for zsh; put into ~/.zshrc, after compinit:  source <(prod autocomplete zsh)
_prod() {
  local -a found
  found=("\${(@f)$(prod --complete zsh "\${(@)words[1,CURRENT]}" 2>/dev/null)}")
  if [[ "$found" == '!' ]]; then return 1; elif [[ -n "$found" ]]; then compadd -- "\${found[@]}"; else _files; fi
}
if [[ "\${funcstack[1]}" == _prod ]]; then _prod "$@"; else compdef _prod prod; fi
`,
  fish: `# completion of prod for fish; once:  prod autocomplete fish > ~/.config/fish/completions/prod.fish
function __prod_complete
  set -l found (prod --complete fish (commandline -opc) (commandline -ct) 2>/dev/null)
  if test (count $found) -eq 0
    __fish_complete_path (commandline -ct)
  else if test "$found" != '!'
    printf '%s\\n' $found
  end
end
complete -c prod -e
complete -c prod -f -a '(__prod_complete)'
`,
} as const

/** A shell we write completion for. */
export type Shell = keyof typeof scripts
