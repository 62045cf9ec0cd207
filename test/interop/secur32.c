/*
 * The log-on functions of Windows (sspi.h, 64 bit) on top of MIT Kerberos and gss-ntlmssp: for tests of src/auth/sspi-*.ts.
 *
 * It is strict where a caller could be wrong and Windows would not say so: versions and types of buffers, reserved
 * arguments, lengths, handles that were given back, memory that is given back twice. What is still held is counted.
 * Tokens and messages are laid out as Windows lays them out: all of a sealed message but its text stands in the token.
 */
#include <gssapi/gssapi.h>
#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef uint32_t ULONG;
typedef int32_t STATUS;
typedef uint16_t WCHAR;
typedef struct { uintptr_t lower, upper; } SecHandle;
typedef struct { ULONG cbBuffer, BufferType; void *pvBuffer; } SecBuffer;
typedef struct { ULONG ulVersion, cBuffers; SecBuffer *pBuffers; } SecBufferDesc;
typedef struct {
    WCHAR *User; ULONG UserLength;
    WCHAR *Domain; ULONG DomainLength;
    WCHAR *Password; ULONG PasswordLength;
    ULONG Flags;
} Identity;
typedef struct {
    ULONG initiatorType, initiatorLength, initiatorOffset, acceptorType, acceptorLength, acceptorOffset;
    ULONG dataLength, dataOffset;
} Bindings;

enum { DATA = 1, TOKEN = 2, CHANNEL_BINDINGS = 14 };
#define OK 0
#define CONTINUE 0x00090312
#define E(code) ((STATUS)(0x80090000u | (code)))
#define INVALID_HANDLE E(0x301)
#define INVALID_PARAMETER E(0x35d)
#define INVALID_TOKEN E(0x308)
#define CREDENTIAL_MARK 0x43524544u
#define CONTEXT_MARK 0x43545854u

static gss_OID_desc kerberos = {9, "\x2a\x86\x48\x86\xf7\x12\x01\x02\x02"};
static gss_OID_desc spnego = {6, "\x2b\x06\x01\x05\x05\x02"};
static gss_OID_desc ntlm = {10, "\x2b\x06\x01\x04\x01\x82\x37\x02\x02\x0a"};
static gss_OID_desc principal_name = {10, "\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x01"};
static gss_OID_desc user_name = {10, "\x2a\x86\x48\x86\xf7\x12\x01\x02\x01\x01"};
static gss_OID_desc host_service = {10, "\x2a\x86\x48\x86\xf7\x12\x01\x02\x01\x04"};
static gss_OID_desc session_key = {11, "\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x05\x05"};

typedef struct { gss_cred_id_t id; gss_OID mech; } Credential;
typedef struct { gss_ctx_id_t id; int done; } Context;

static int32_t live[3]; /* credentials, contexts, buffers */

void EmulationLive(int32_t *out) { memcpy(out, live, sizeof live); }

/* Memory that is given back by FreeContextBuffer says so in front of it. */
static void *give(const void *from, size_t length) {
    uint64_t *block = calloc(1, length + 24);
    block[0] = 0x4755u;
    if (length) memcpy(block + 1, from, length);
    live[2]++;
    return block + 1;
}

STATUS FreeContextBuffer(void *memory) {
    uint64_t *block = memory;
    if (!block || block[-1] != 0x4755u) return INVALID_HANDLE;
    block[-1] = 0;
    live[2]--;
    free(block - 1);
    return OK;
}

static WCHAR *give_text(const char *text) {
    WCHAR wide[64] = {0};
    for (int i = 0; text[i]; i++) wide[i] = (unsigned char)text[i];
    return give(wide, sizeof wide);
}

/* UTF-16 without surrogates, as tests use it, to UTF-8. */
static char *narrow(const WCHAR *text, ULONG length) {
    char *out = calloc(1, 3 * (size_t)length + 1), *to = out;
    for (ULONG i = 0; i < length; i++) {
        WCHAR c = text[i];
        if (c < 0x80) *to++ = c;
        else if (c < 0x800) { *to++ = 0xc0 | c >> 6; *to++ = 0x80 | (c & 0x3f); }
        else { *to++ = 0xe0 | c >> 12; *to++ = 0x80 | (c >> 6 & 0x3f); *to++ = 0x80 | (c & 0x3f); }
    }
    return out;
}

static ULONG length_of(const WCHAR *text) {
    ULONG length = 0;
    while (text[length]) length++;
    return length;
}

static STATUS status_of(OM_uint32 major, OM_uint32 minor) {
    switch ((int32_t)minor - -1765328384) { /* errors of RFC 4120 */
    case 6: case 18: case 23: case 24: case 31: return E(0x30c); /* LOGON_DENIED */
    case 7: return E(0x303);                                     /* TARGET_UNKNOWN */
    case 14: return E(0x342);                                    /* KDC_UNKNOWN_ETYPE */
    case 32: return E(0x317);                                    /* CONTEXT_EXPIRED */
    case 33: case 37: return E(0x324);                           /* TIME_SKEW */
    case 35: case 41: case 44: case 45: return E(0x322);         /* WRONG_PRINCIPAL */
    case 154: case 156: return E(0x311);                         /* NO_AUTHENTICATING_AUTHORITY */
    case 195: case 141: return E(0x30e);                         /* NO_CREDENTIALS */
    }
    switch (GSS_ROUTINE_ERROR(major)) {
    case GSS_S_BAD_BINDINGS: return E(0x346);
    case GSS_S_NO_CRED: return E(0x30e);
    case GSS_S_CONTEXT_EXPIRED: case GSS_S_CREDENTIALS_EXPIRED: return E(0x317);
    case GSS_S_DEFECTIVE_TOKEN: return INVALID_TOKEN;
    }
    return E(0x304); /* INTERNAL_ERROR */
}

/* A time of the local clock, 100 ns since 1601. */
static void stamp(int64_t *out, OM_uint32 seconds) {
    time_t end = time(NULL) + seconds;
    struct tm local;
    localtime_r(&end, &local);
    if (seconds == GSS_C_INDEFINITE) *out = 0x7fffffffffffffff;
    else *out = ((int64_t)end + local.tm_gmtoff + 11644473600) * 10000000;
}

static gss_OID package_of(const WCHAR *package) {
    char *name = narrow(package, length_of(package));
    gss_OID found = !strcmp(name, "Kerberos") ? &kerberos : !strcmp(name, "Negotiate") ? &spnego
                  : !strcmp(name, "NTLM") ? &ntlm : NULL;
    free(name);
    return found;
}

/* `user` with a domain is DOMAIN\user to NTLM and user@DOMAIN to Kerberos. */
static STATUS import_user(const Identity *who, gss_OID mech, gss_name_t *name) {
    OM_uint32 minor;
    char text[512];
    char *user = narrow(who->User, who->UserLength), *domain = narrow(who->Domain, who->DomainLength);
    int by_ntlm = mech == &ntlm;
    if (!*domain) snprintf(text, sizeof text, "%s", user);
    else if (by_ntlm) snprintf(text, sizeof text, "%s\\%s", domain, user);
    else snprintf(text, sizeof text, "%s@%s", user, domain);
    free(user);
    free(domain);
    gss_buffer_desc buffer = {strlen(text), text};
    OM_uint32 major = gss_import_name(&minor, &buffer, by_ntlm || mech == &spnego ? &user_name : &principal_name, name);
    return GSS_ERROR(major) ? status_of(major, minor) : OK;
}

static STATUS acquire(const Identity *who, gss_OID mech, gss_cred_id_t *id) {
    OM_uint32 minor, major;
    gss_OID_set_desc mechs = {1, mech};
    if (!who) {
        major = gss_acquire_cred(&minor, GSS_C_NO_NAME, GSS_C_INDEFINITE, &mechs, GSS_C_INITIATE, id, NULL, NULL);
        return GSS_ERROR(major) ? status_of(major, minor) : OK;
    }
    if (who->Flags != 2 || who->User[who->UserLength] || who->Password[who->PasswordLength]) return INVALID_PARAMETER;
    gss_name_t name;
    STATUS status = import_user(who, mech, &name);
    if (status != OK) return status;
    char *password = narrow(who->Password, who->PasswordLength);
    gss_buffer_desc secret = {strlen(password), password};
    major = gss_acquire_cred_with_password(&minor, name, &secret, GSS_C_INDEFINITE, &mechs, GSS_C_INITIATE, id, NULL, NULL);
    free(password);
    OM_uint32 unused;
    gss_release_name(&unused, &name);
    return GSS_ERROR(major) ? status_of(major, minor) : OK;
}

STATUS AcquireCredentialsHandleW(WCHAR *principal, WCHAR *package, ULONG use, void *logon, Identity *who, void *get_key,
                                 void *argument, SecHandle *handle, int64_t *expiry) {
    if (principal || use != 2 || logon || get_key || argument || !handle || !expiry) return INVALID_PARAMETER;
    gss_OID mech = package_of(package);
    if (!mech) return E(0x305); /* SECPKG_NOT_FOUND */
    gss_cred_id_t id = GSS_C_NO_CREDENTIAL;
    STATUS status = acquire(who, mech, &id);
    if (status != OK) return status;
    Credential *credential = malloc(sizeof *credential);
    *credential = (Credential){id, mech};
    *handle = (SecHandle){(uintptr_t)credential, CREDENTIAL_MARK};
    stamp(expiry, GSS_C_INDEFINITE);
    live[0]++;
    return OK;
}

STATUS FreeCredentialsHandle(SecHandle *handle) {
    if (!handle || handle->upper != CREDENTIAL_MARK) return INVALID_HANDLE;
    Credential *credential = (Credential *)handle->lower;
    OM_uint32 minor;
    gss_release_cred(&minor, &credential->id);
    free(credential);
    handle->upper = 0;
    live[0]--;
    return OK;
}

STATUS DeleteSecurityContext(SecHandle *handle) {
    if (!handle || handle->upper != CONTEXT_MARK) return INVALID_HANDLE;
    Context *context = (Context *)handle->lower;
    OM_uint32 minor;
    gss_delete_sec_context(&minor, &context->id, GSS_C_NO_BUFFER);
    free(context);
    handle->upper = 0;
    live[1]--;
    return OK;
}

/* HTTP/host is the service HTTP@host. */
static STATUS import_service(const WCHAR *target, gss_name_t *name) {
    OM_uint32 minor;
    char *text = narrow(target, length_of(target)), *slash = strchr(text, '/');
    if (!slash) { free(text); return E(0x303); }
    *slash = '@';
    gss_buffer_desc buffer = {strlen(text), text};
    OM_uint32 major = gss_import_name(&minor, &buffer, &host_service, name);
    free(text);
    return GSS_ERROR(major) ? status_of(major, minor) : OK;
}

static STATUS read_input(const SecBufferDesc *input, gss_buffer_t token, struct gss_channel_bindings_struct *binding,
                         int *bound) {
    if (!input) return OK;
    if (input->ulVersion != 0 || input->cBuffers > 2) return INVALID_PARAMETER;
    for (ULONG i = 0; i < input->cBuffers; i++) {
        SecBuffer *buffer = &input->pBuffers[i];
        if (buffer->BufferType == TOKEN) {
            *token = (gss_buffer_desc){buffer->cbBuffer, buffer->pvBuffer};
        } else if (buffer->BufferType == CHANNEL_BINDINGS) {
            Bindings *given = buffer->pvBuffer;
            if (buffer->cbBuffer != given->dataOffset + given->dataLength || given->dataOffset != sizeof *given)
                return INVALID_PARAMETER;
            binding->application_data = (gss_buffer_desc){given->dataLength, (char *)given + given->dataOffset};
            *bound = 1;
        } else return INVALID_PARAMETER;
    }
    return OK;
}

static const struct { ULONG sspi; OM_uint32 gss; } FLAGS[] = {
    {0x2, GSS_C_MUTUAL_FLAG}, {0x4, GSS_C_REPLAY_FLAG}, {0x8, GSS_C_SEQUENCE_FLAG},
    {0x10, GSS_C_CONF_FLAG}, {0x10000, GSS_C_INTEG_FLAG},
};

STATUS InitializeSecurityContextW(SecHandle *credential, SecHandle *old, WCHAR *target, ULONG request, ULONG reserved1,
                                  ULONG drep, SecBufferDesc *input, ULONG reserved2, SecHandle *handle,
                                  SecBufferDesc *output, ULONG *attributes, int64_t *expiry) {
    if (!credential || credential->upper != CREDENTIAL_MARK) return INVALID_HANDLE;
    if (old && (old != handle || old->upper != CONTEXT_MARK)) return INVALID_HANDLE;
    if (reserved1 || reserved2 || drep != 0x10 || (request & ~0x1001eu)) return INVALID_PARAMETER;
    if (output->ulVersion != 0 || output->cBuffers != 1 || output->pBuffers->BufferType != TOKEN) return INVALID_PARAMETER;
    gss_buffer_desc token = GSS_C_EMPTY_BUFFER, out = GSS_C_EMPTY_BUFFER;
    struct gss_channel_bindings_struct binding = {0};
    int bound = 0;
    STATUS status = read_input(input, &token, &binding, &bound);
    if (status != OK) return status;
    if (!old != !token.length) return INVALID_TOKEN;
    gss_name_t name;
    if ((status = import_service(target, &name)) != OK) return status;
    OM_uint32 minor, got = 0, seconds = 0, flags = 0, unused;
    for (int i = 0; i < 5; i++) if (request & FLAGS[i].sspi) flags |= FLAGS[i].gss;
    Credential *who = (Credential *)credential->lower;
    Context *context = old ? (Context *)old->lower : calloc(1, sizeof *context);
    OM_uint32 major = gss_init_sec_context(&minor, who->id, &context->id, name, who->mech, flags, 0, bound ? &binding : NULL,
                                           token.length ? &token : NULL, NULL, &out, &got, &seconds);
    gss_release_name(&unused, &name);
    if (out.length > output->pBuffers->cbBuffer) abort();
    memcpy(output->pBuffers->pvBuffer, out.value, out.length);
    output->pBuffers->cbBuffer = out.length;
    gss_release_buffer(&unused, &out);
    if (GSS_ERROR(major)) {
        if (!old) { gss_delete_sec_context(&unused, &context->id, NULL); free(context); }
        return status_of(major, minor);
    }
    if (!old) { *handle = (SecHandle){(uintptr_t)context, CONTEXT_MARK}; live[1]++; }
    *attributes = 0;
    for (int i = 0; i < 5; i++) if (got & FLAGS[i].gss) *attributes |= FLAGS[i].sspi;
    stamp(expiry, seconds);
    context->done = !(major & GSS_S_CONTINUE_NEEDED);
    return context->done ? OK : CONTINUE;
}

static Context *context_of(SecHandle *handle) {
    return handle && handle->upper == CONTEXT_MARK && ((Context *)handle->lower)->done ? (Context *)handle->lower : NULL;
}

static STATUS inquire_key(Context *context, gss_buffer_set_t *set) {
    OM_uint32 minor, major = gss_inquire_sec_context_by_oid(&minor, context->id, &session_key, set);
    return GSS_ERROR(major) ? status_of(major, minor) : OK;
}

static int by_kerberos(Context *context) {
    OM_uint32 minor;
    gss_OID mech = NULL;
    gss_inquire_context(&minor, context->id, NULL, NULL, NULL, &mech, NULL, NULL, NULL);
    return mech && mech->length == kerberos.length && !memcmp(mech->elements, kerberos.elements, mech->length);
}

STATUS QueryContextAttributesW(SecHandle *handle, ULONG attribute, void *out) {
    Context *context = context_of(handle);
    if (!context) return INVALID_HANDLE;
    OM_uint32 minor;
    if (attribute == 0) {
        ULONG sizes[4] = {48000, 76, 1, 76};
        memcpy(out, sizes, sizeof sizes);
        return OK;
    }
    if (attribute == 9 || attribute == 5) {
        gss_buffer_set_t set = NULL;
        STATUS status = inquire_key(context, &set);
        if (status != OK) return status;
        if (attribute == 9) {
            struct { ULONG length; void *key; } found = {set->elements[0].length, NULL};
            found.key = give(set->elements[0].value, found.length);
            memcpy(out, &found, sizeof found);
        } else {
            gss_buffer_t oid = &set->elements[1];
            struct { WCHAR *sign, *encrypt; ULONG size, signature, encryption; } info = {give_text("sign"), give_text("encrypt")};
            info.size = 8 * set->elements[0].length;
            info.encryption = ((unsigned char *)oid->value)[oid->length - 1];
            memcpy(out, &info, sizeof info);
        }
        gss_release_buffer_set(&minor, &set);
        return OK;
    }
    if (attribute == 12) {
        struct { struct { ULONG capabilities; uint16_t version, rpc; ULONG token; WCHAR *name, *comment; } info; WCHAR text[16]; } *package;
        char zero[96] = {0};
        package = give(zero, sizeof zero);
        const char *name = by_kerberos(context) ? "Kerberos" : "NTLM";
        for (int i = 0; name[i]; i++) package->text[i] = name[i];
        package->info.name = package->info.comment = package->text;
        struct { void *info; ULONG state; } found = {package, 0};
        memcpy(out, &found, sizeof found);
        return OK;
    }
    return E(0x302); /* UNSUPPORTED_FUNCTION */
}

static STATUS two_buffers(SecBufferDesc *message, ULONG first, ULONG second) {
    if (!message || message->ulVersion != 0 || message->cBuffers != 2) return INVALID_PARAMETER;
    if (message->pBuffers[0].BufferType != first || message->pBuffers[1].BufferType != second) return INVALID_PARAMETER;
    return OK;
}

/* The wrap token of RFC 4121 with all but the text in front; of NTLM the signature is there by itself. */
STATUS EncryptMessage(SecHandle *handle, ULONG quality, SecBufferDesc *message, ULONG sequence) {
    Context *context = context_of(handle);
    if (!context) return INVALID_HANDLE;
    if (quality || sequence || two_buffers(message, TOKEN, DATA) != OK) return INVALID_PARAMETER;
    SecBuffer *token = &message->pBuffers[0], *data = &message->pBuffers[1];
    gss_buffer_desc plain = {data->cbBuffer, data->pvBuffer}, wrapped = GSS_C_EMPTY_BUFFER;
    OM_uint32 minor;
    int sealed = 0;
    OM_uint32 major = gss_wrap(&minor, context->id, 1, 0, &plain, &sealed, &wrapped);
    if (GSS_ERROR(major)) return status_of(major, minor);
    unsigned char *from = wrapped.value, *to = token->pvBuffer;
    size_t front = wrapped.length - plain.length;
    STATUS status = OK;
    if (!sealed || token->cbBuffer < front) status = E(0x321); /* BUFFER_TOO_SMALL */
    else if (from[0] != 5 || from[1] != 4) {
        memcpy(to, from, front);
        memcpy(data->pvBuffer, from + front, plain.length);
    } else {
        size_t tail = front - 32;
        memcpy(to, from, 16);
        to[6] = tail >> 8;
        to[7] = tail;
        memcpy(to + 16, from + wrapped.length - tail, tail);
        memcpy(to + 16 + tail, from + 16, 16);
        memcpy(data->pvBuffer, from + 32, plain.length);
    }
    token->cbBuffer = front;
    gss_release_buffer(&minor, &wrapped);
    return status;
}

STATUS DecryptMessage(SecHandle *handle, SecBufferDesc *message, ULONG sequence, ULONG *quality) {
    Context *context = context_of(handle);
    if (!context) return INVALID_HANDLE;
    if (sequence || !quality || two_buffers(message, TOKEN, DATA) != OK) return INVALID_PARAMETER;
    SecBuffer *token = &message->pBuffers[0], *data = &message->pBuffers[1];
    gss_buffer_desc joined = {token->cbBuffer + (size_t)data->cbBuffer, NULL}, plain = GSS_C_EMPTY_BUFFER;
    joined.value = malloc(joined.length + 1);
    memcpy(joined.value, token->pvBuffer, token->cbBuffer);
    memcpy((char *)joined.value + token->cbBuffer, data->pvBuffer, data->cbBuffer);
    OM_uint32 minor;
    int sealed = 0;
    OM_uint32 major = gss_unwrap(&minor, context->id, &joined, &plain, &sealed, NULL);
    free(joined.value);
    STATUS status = major == 0 ? OK : GSS_ERROR(major) ? E(0x30f) : E(0x310); /* MESSAGE_ALTERED, OUT_OF_SEQUENCE */
    if (status == OK && plain.length > data->cbBuffer) status = E(0x321);
    if (status == OK) {
        memcpy(data->pvBuffer, plain.value, plain.length);
        data->cbBuffer = plain.length;
        *quality = sealed ? 0 : 0x80000001u;
    }
    gss_release_buffer(&minor, &plain);
    return status;
}

STATUS MakeSignature(SecHandle *handle, ULONG quality, SecBufferDesc *message, ULONG sequence) {
    Context *context = context_of(handle);
    if (!context) return INVALID_HANDLE;
    if (quality || sequence || two_buffers(message, DATA, TOKEN) != OK) return INVALID_PARAMETER;
    SecBuffer *data = &message->pBuffers[0], *token = &message->pBuffers[1];
    gss_buffer_desc plain = {data->cbBuffer, data->pvBuffer}, mic = GSS_C_EMPTY_BUFFER;
    OM_uint32 minor, major = gss_get_mic(&minor, context->id, 0, &plain, &mic);
    if (GSS_ERROR(major)) return status_of(major, minor);
    STATUS status = mic.length > token->cbBuffer ? E(0x321) : OK;
    if (status == OK) { memcpy(token->pvBuffer, mic.value, mic.length); token->cbBuffer = mic.length; }
    gss_release_buffer(&minor, &mic);
    return status;
}

STATUS VerifySignature(SecHandle *handle, SecBufferDesc *message, ULONG sequence, ULONG *quality) {
    Context *context = context_of(handle);
    if (!context) return INVALID_HANDLE;
    if (sequence || !quality || two_buffers(message, DATA, TOKEN) != OK) return INVALID_PARAMETER;
    SecBuffer *data = &message->pBuffers[0], *token = &message->pBuffers[1];
    gss_buffer_desc plain = {data->cbBuffer, data->pvBuffer}, mic = {token->cbBuffer, token->pvBuffer};
    OM_uint32 minor, major = gss_verify_mic(&minor, context->id, &plain, &mic, NULL);
    return major == 0 ? OK : E(0x30f);
}
