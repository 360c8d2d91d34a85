/* The network listener as a C library, implemented in Rust (rust/door): sockets, TLS, HTTP/1.1, HTTP/2, limits, timers.
 * It knows nothing of gRPC: a call is a head, body bytes both ways, and trailers.
 *
 * Threads: the callbacks of one call come one at a time, all on the thread that owns its connection, and never inside
 * another callback of that call. They must not throw or block for long: other connections live on the same thread.
 * The door_* functions of a call may be called from any thread, also from inside a callback; after on_close they do
 * nothing.
 *
 * Memory: what a callback is shown is valid until it returns, unless kept; see door_bytes_keep and door_message. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct door door;             /* a listening port */
typedef struct door_call door_call;   /* our half of one request */
typedef struct door_bytes door_bytes; /* received bytes */

typedef struct {
  const uint8_t* data;
  size_t size;
} door_slice;

typedef struct {
  door_slice name, value;
} door_header;

typedef struct { /* valid during on_call only */
  door_slice method, path, authority;
  door_slice peer;      /* "127.0.0.1:4711" */
  door_slice peer_cert; /* DER; empty without a client certificate */
  int http2, tls;
  const door_header* headers; /* names in lower case */
  size_t header_count;
} door_request;

typedef struct {
  uint16_t status;
  const door_header* headers;
  size_t header_count;
} door_head;

typedef struct { /* body bytes; `release(owner)` is called once, on any thread, when they are sent or dropped */
  const door_slice* pieces;
  size_t piece_count;
  void* owner;
  void (*release)(void* owner);
} door_message;

typedef struct { /* the end of an answer; trailers need HTTP/2 */
  const door_header* trailers;
  size_t trailer_count;
} door_end;

typedef struct {
  door_slice listen;               /* "127.0.0.1:0" */
  door_slice cert, key, client_ca; /* PEM text; empty cert: no TLS */
  uint32_t threads;
  uint32_t stream_window_bytes, connection_window_bytes;
  uint64_t windows_max_bytes; /* connection windows beyond HTTP/2's first 64 KiB, all connections together */
  uint32_t streams_max, header_list_max_bytes, frame_max_bytes, connections_max, reset_streams_max;
  uint32_t header_timeout_ms;    /* TLS handshake, HTTP/2 preface, one request head */
  uint32_t idle_timeout_ms;      /* connection without a call; 0: none */
  uint64_t keepalive_ms;         /* HTTP/2: nothing received for so long: ping. 0: never */
  uint32_t keepalive_timeout_ms; /* for the answer to a ping, and for any byte that the connection waits for */
} door_options;

enum { DOOR_COMPLETE = 0, DOOR_CANCELLED = 1 };    /* on_close */
enum { DOOR_WANTS_BYTES = 0, DOOR_SATISFIED = 1 }; /* on_read, on_data */
enum { DOOR_CANNOT_LISTEN = 1, DOOR_BAD_TLS = 2 }; /* door_start */

typedef struct {
  void* (*on_call)(void* context, door_call*, const door_request*); /* owns the call: door_call_free. Returns `user` */
  int (*on_read)(void* user); /* after door_read: SATISFIED if the request was met from bytes already shown */
  int (*on_data)(void* user, const uint8_t* data, size_t size, const door_bytes*); /* WANTS_BYTES: show the next ones */
  void (*on_end)(void* user);            /* in place of on_data: the peer sent its last byte */
  void (*on_drain)(void* user);          /* the last waiting message was taken */
  void (*on_deadline)(void* user);       /* once, if door_call_deadline was called */
  void (*on_close)(void* user, int why); /* last */
} door_callbacks;

/* Null on failure: `error_kind` and `error` (cut to `error_size`, zero-terminated) say why. */
door* door_start(const door_options*, const door_callbacks*, void* context, int* error_kind, char* error,
                 size_t error_size);
/* Certificates of the connections to come, on a port that was started with some; those that stand keep theirs. 0 on
 * failure, as for door_start: the old ones stay. */
int door_replace_identity(const door*, door_slice cert, door_slice key, door_slice client_ca, char* error,
                          size_t error_size);
uint16_t door_port(const door*);
size_t door_connections(const door*);
/* No new connections and calls; calls in flight may end within `grace_ms`, the rest is cut. No callback after it. Once.
 */
void door_stop(door*, uint64_t grace_ms);
void door_free(door*); /* after door_stop */

void door_call_read(const door_call*); /* ask for bytes: on_read, then on_data or on_end */
void door_call_deadline(const door_call*, uint64_t ms);
/* Queues any of: the head (once, first), one message, the end (once, last). Null: not now. Returns how many messages
 * wait. */
size_t door_call_send(const door_call*, const door_head*, const door_message*, const door_end*);
/* Drops the messages that wait and a queued end. If a part of one was sent, the answer can only be cut off, and is. */
void door_call_discard(const door_call*);
size_t door_call_waiting(const door_call*);
void door_call_free(const door_call*);

door_bytes* door_bytes_keep(const door_bytes*); /* inside on_data: the bytes stay valid until door_bytes_free */
void door_bytes_free(door_bytes*);

#ifdef __cplusplus
}
#endif
