/**
 * What to paste on the host. Only commands that come with Windows: of WinRM, Hyper-V, local groups, services, firewall rules by
 * their fixed names. Groups are named by SID, because their names are translated.
 */
import type { Fault, FaultDetails } from '../base/index.ts';

export interface FixContext {
  /** The account as it is configured. */
  readonly user: string;
  readonly host: string;
  readonly tls: boolean;
}

type Lines = (context: FixContext, details: FaultDetails) => readonly string[];

const HYPERV_ADMINISTRATORS = 'S-1-5-32-578';
const REMOTE_MANAGEMENT_USERS = 'S-1-5-32-580';
const ADMINISTRATORS = 'S-1-5-32-544';

const addMember = (sid: string, { user }: FixContext): string =>
  `Add-LocalGroupMember -SID ${sid} -Member ${quoted(accountOf(user))}`;

const OPEN_HTTP = [
  'Get-Service WinRM',
  'Enable-PSRemoting -Force',
  'Get-NetFirewallRule -Name WINRM-HTTP-In-TCP*',
];
const OPEN_HTTPS = [
  'winrm enumerate winrm/config/listener',
  String.raw`Get-ChildItem Cert:\LocalMachine\My | Format-List Subject, NotAfter, Thumbprint`,
  String.raw`New-Item -Path WSMan:\localhost\Listener -Transport HTTPS -Address * -CertificateThumbPrint 'THUMBPRINT' -Force`,
  "New-NetFirewallRule -Name WinRM-HTTPS -DisplayName 'WinRM HTTPS' -Direction Inbound -Protocol TCP -LocalPort 5986 -Action Allow",
];
const OPEN_SMB = ['Get-Service LanmanServer', 'Enable-NetFirewallRule -Name FPS-SMB-In-TCP'];
const OPEN_SSH = [
  'Add-WindowsCapability -Online -Name OpenSSH.Server~~~~0.0.1.0',
  'Set-Service -Name sshd -StartupType Automatic',
  'Start-Service sshd',
];

const openWinrmPort: Lines = ({ tls }) => (tls ? OPEN_HTTPS : OPEN_HTTP);
const giveRights: Lines = (context) => [
  addMember(HYPERV_ADMINISTRATORS, context),
  addMember(REMOTE_MANAGEMENT_USERS, context),
];
const beAdministrator: Lines = (context) => [addMember(ADMINISTRATORS, context)];
const showListenerCertificate: Lines = () => OPEN_HTTPS.slice(0, 2);
const setClock: Lines = () => ['w32tm /query /status', 'w32tm /resync'];
const removeRecoveryCheckpoints: Lines = (_context, { vms }) => [
  '# only while no backup of the VM runs',
  ...namesIn(vms).map(
    (vm) => `Get-VMSnapshot -VMName ${quoted(vm)} -SnapshotType Recovery | Remove-VMSnapshot`,
  ),
];

const BY_PORT: Readonly<Record<string, Lines>> = {
  winrm: openWinrmPort,
  smb: () => OPEN_SMB,
  ssh: () => OPEN_SSH,
};

const BY_CODE: Readonly<Record<string, Lines>> = {
  DOCTOR_PORT_CLOSED: (context, details) => BY_PORT[String(details['use'])]!(context, details),
  WINRM_UNREACHABLE: openWinrmPort,
  WINRM_NOT_WINRM: openWinrmPort,
  WINRM_TLS_REFUSED: openWinrmPort,
  WINRM_CERTIFICATE_UNTRUSTED: showListenerCertificate,
  WINRM_CERTIFICATE_EXPIRED: showListenerCertificate,
  WINRM_CERTIFICATE_NAME: showListenerCertificate,
  WINRM_CERTIFICATE_NOT_PINNED: showListenerCertificate,
  DOCTOR_CERTIFICATE_ENDS: showListenerCertificate,
  WINRM_METHOD_NOT_OFFERED: () => [
    'winrm get winrm/config/service/auth',
    String.raw`Set-Item WSMan:\localhost\Service\Auth\Negotiate $true`,
  ],
  KERBEROS_CLOCK_SKEW: setClock,
  DOCTOR_CLOCK_OFF: setClock,
  KERBEROS_SERVICE_UNKNOWN: ({ host }) => [`setspn -Q HTTP/${host}`],
  WINRM_ACCESS_DENIED: giveRights,
  DOCTOR_ACCOUNT_SEES_NOTHING: (context, details) => [
    ...giveRights(context, details),
    String.raw`Set-ItemProperty -Path HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System -Name LocalAccountTokenFilterPolicy -Type DWord -Value 1`,
  ],
  WINRM_CLASS_UNKNOWN: () => ['Get-WindowsFeature -Name Hyper-V', 'Get-Service vmms'],
  WINRM_NOT_FOUND: () => ['Get-WindowsFeature -Name Hyper-V', 'Get-Service vmms'],
  DOCTOR_SERVICE_STOPPED: () => ['Get-Service vmms', 'Start-Service vmms'],
  DOCTOR_VMS_TOO_OLD: (_context, { names }) => [
    'Get-VM | Format-Table Name, State, Version',
    '# only while the VM is off; it can not be taken back',
    ...namesIn(names).map((vm) => `Update-VMVersion -Name ${quoted(vm)}`),
  ],
  DOCTOR_ENVELOPE_SMALL: () => [String.raw`Set-Item WSMan:\localhost\MaxEnvelopeSizekb 500`],
  HOSTFILE_NO_ACCESS: beAdministrator,
  HOSTFILE_NO_ACCESS_OR_HELD: beAdministrator,
  SMB_ACCESS_DENIED: beAdministrator,
  DOCTOR_SPACE_LOW: () => ['Get-Volume'],
  DOCTOR_CHECKPOINT_OF_OURS: removeRecoveryCheckpoints,
  DOCTOR_CHECKPOINT_OF_OTHERS: removeRecoveryCheckpoints,
  DOCTOR_MERGE_PENDING: () => ['Get-VM | Format-Table Name, State, Status', 'Get-VMSnapshot -VMName *'],
};

export function powershellFor({ code, details }: Fault, context: FixContext): readonly string[] {
  return BY_CODE[code]?.(context, details) ?? [];
}

/** More would fill the screen; the last line says that there are more. */
const NAMES_MAX = 5;

/** Details are scalars: names are joined with line breaks, which no name of a VM has. */
export const joinNames = (names: readonly string[]): string => names.slice(0, NAMES_MAX).join('\n');

function namesIn(detail: FaultDetails[string]): string[] {
  return String(detail ?? '')
    .split('\n')
    .filter((name) => name !== '');
}

/** A string PowerShell takes as it is. The typographic quotes end one too. */
export function quoted(text: string): string {
  return `'${text.replaceAll(/['\u2018\u2019\u201a\u201b]/g, '$&$&')}'`;
}

/** Local groups take `DOMAIN\name`; of `name@domain` that is the same account. */
function accountOf(user: string): string {
  const [, name, domain] = /^([^@\\]+)@(.+)$/.exec(user) ?? [];
  return name === undefined ? user : `${domain}\\${name}`;
}
