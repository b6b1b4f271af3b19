import { Argument, Command } from 'commander'

const SHELLS = ['bash', 'zsh', 'fish'] as const
type Shell = (typeof SHELLS)[number]

/** `program`: whose commands and flags are completed. */
export function completionCommand(program: () => Command): Command {
  return new Command('completion')
    .description('a script that has the shell complete commands and flags: source <(weft completion bash)')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .action((shell: Shell) => console.log(completionScript(program(), shell)))
}

export function completionScript(program: Command, shell: Shell): string {
  const words = wordsOf(program, '')
  if (shell === 'fish') return fish(words)
  return shell === 'zsh' ? `autoload -U +X bashcompinit && bashcompinit\n${bash(words)}` : bash(words)
}

interface Words {
  /** Of the commands that have been said: `table shard`. */
  readonly path: string
  readonly commands: readonly { readonly name: string; readonly description: string }[]
  readonly flags: readonly string[]
}

function wordsOf(command: Command, path: string): Words[] {
  const own: Words = {
    path,
    commands: command.commands.map((one) => ({ name: one.name(), description: one.description() })),
    flags: [...command.options.flatMap(({ long }) => long ?? []), '--help'],
  }
  const below = command.commands.flatMap((one) => wordsOf(one, `${path} ${one.name()}`.trim()))
  return [own, ...below]
}

const bash = (words: readonly Words[]): string => `_weft() {
  local word path= cur="\${COMP_WORDS[COMP_CWORD]}" i
  local -A next=(
${words.map(({ path, commands, flags }) => `    ['/${path}']='${[...commands.map(({ name }) => name), ...flags].join(' ')}'`).join('\n')}
  )
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${path:+$path }\${COMP_WORDS[i]}"
    [[ -n "\${next[/$word]}" ]] && path="$word"
  done
  COMPREPLY=($(compgen -W "\${next[/$path]}" -- "$cur"))
  [[ \${#COMPREPLY[@]} -eq 0 ]] && COMPREPLY=($(compgen -f -- "$cur"))
}
complete -o filenames -F _weft weft`

function fish(words: readonly Words[]): string {
  const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
  return words
    .flatMap(({ path, commands, flags }) => {
      const said = path === '' ? [] : path.split(' ').map((word) => `__fish_seen_subcommand_from ${word}`)
      const others = commands.map(({ name }) => name).join(' ')
      const notYet = commands.length === 0 ? [] : [`not __fish_seen_subcommand_from ${others}`]
      const when = [...said, ...notYet].join('; and ')
      const condition = when === '' ? '' : ` -n ${quoted(when)}`
      return [
        ...commands.map(
          ({ name, description }) => `complete -c weft -f${condition} -a ${name} -d ${quoted(description)}`,
        ),
        ...flags.map((flag) => `complete -c weft${condition} -l ${flag.slice(2)}`),
      ]
    })
    .join('\n')
}
