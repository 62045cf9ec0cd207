import { hammer } from './campaign.ts';
import { smbCampaign } from './smb-campaign.ts';
import { smbLogOnCampaign } from './smb-log-on-campaign.ts';

await hammer([smbCampaign, smbLogOnCampaign], 100_000, 20_261_123);
