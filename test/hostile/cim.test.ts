import { hammer } from './campaign.ts';
import { cimCampaign } from './cim-campaign.ts';
import { rctCampaign } from './rct-campaign.ts';

await hammer([cimCampaign, rctCampaign], 100_000, 20_261_123);
