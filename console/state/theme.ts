import { effect, signal } from '@preact/signals'

export type Theme = 'system' | 'light' | 'dark'
const THEMES: readonly Theme[] = ['system', 'light', 'dark']
const KEY = 'weft.theme'

const stored = localStorage.getItem(KEY)
export const theme = signal<Theme>(THEMES.find((one) => one === stored) ?? 'system')
const prefersDark = matchMedia('(prefers-color-scheme: dark)')
const systemIsDark = signal(prefersDark.matches)
prefersDark.addEventListener('change', ({ matches }) => {
  systemIsDark.value = matches
})

/** What is seen; charts are drawn anew when it changes. */
export const isDark = signal(false)

effect(() => {
  isDark.value = theme.value === 'system' ? systemIsDark.value : theme.value === 'dark'
  document.documentElement.dataset.theme = isDark.value ? 'dark' : 'light'
  localStorage.setItem(KEY, theme.value)
})

export function nextTheme(): void {
  theme.value = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length]!
}
