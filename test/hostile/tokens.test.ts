import { hammer } from './campaign.ts';
import { ntlmCampaign } from './ntlm-campaign.ts';
import { sealedBodyCampaign, wrapTokenCampaign } from './sealed-body-campaign.ts';
import { spnegoCampaign } from './spnego-campaign.ts';

await hammer([ntlmCampaign, spnegoCampaign, sealedBodyCampaign, wrapTokenCampaign], 100_000, 20_261_123);
