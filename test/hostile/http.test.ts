import { hammer } from './campaign.ts';
import { httpCampaign } from './http-campaign.ts';
import { winrmLogOnCampaign } from './winrm-log-on-campaign.ts';

await hammer([httpCampaign, winrmLogOnCampaign], 100_000, 20_261_123);
