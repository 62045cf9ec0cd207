import { hammer } from './campaign.ts';
import { soapCampaign } from './soap-campaign.ts';

await hammer([soapCampaign], 100_000, 20_261_123);
