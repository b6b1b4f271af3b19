export interface FilterProps {
  readonly label: string
  readonly value: string
  readonly onChange: (value: string) => void
}

/** Key / leads here. */
export function Filter({ label, value, onChange }: FilterProps) {
  return (
    <label class="filter">
      <span>{label}</span>
      <input
        type="search"
        value={value}
        spellcheck={false}
        onInput={({ currentTarget }) => onChange(currentTarget.value)}
      />
    </label>
  )
}
