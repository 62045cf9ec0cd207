/** Every campaign, with ten times the inputs and others each time. */
import { hammer } from './campaign.ts';
import { cimCampaign } from './cim-campaign.ts';
import { httpCampaign } from './http-campaign.ts';
import { ntlmCampaign } from './ntlm-campaign.ts';
import { rctCampaign } from './rct-campaign.ts';
import { sealedBodyCampaign, wrapTokenCampaign } from './sealed-body-campaign.ts';
import { sftpCampaign } from './sftp-campaign.ts';
import { smbCampaign } from './smb-campaign.ts';
import { smbLogOnCampaign } from './smb-log-on-campaign.ts';
import { soapCampaign } from './soap-campaign.ts';
import { spnegoCampaign } from './spnego-campaign.ts';
import { winrmLogOnCampaign } from './winrm-log-on-campaign.ts';

await hammer(
  [
    soapCampaign,
    cimCampaign,
    rctCampaign,
    httpCampaign,
    winrmLogOnCampaign,
    sealedBodyCampaign,
    ntlmCampaign,
    spnegoCampaign,
    wrapTokenCampaign,
    smbLogOnCampaign,
    smbCampaign,
    sftpCampaign,
  ],
  1_000_000,
);
