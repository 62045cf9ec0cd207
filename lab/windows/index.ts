export {
  createWindowsProvider,
  DEFAULT_WINDOWS,
  type WindowsFacts,
  type WindowsSource,
} from './windows-provider.ts';
