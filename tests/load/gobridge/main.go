// A minimal REST-to-Kafka bridge with net/http and franz-go: the reference that the bench measures the real bridge by.
//
//	POST /stores/{store}/stock  one record, answered after the acknowledgement of all in-sync replicas; of a JSON array
//	                            each element, of NDJSON each line, answered a window at a time while the body arrives
//	GET  /drain?max=1000        the next records of the topic; with -group, POST /drain/ack commits what was read
//	GET  /feed                  every new record to every client, as Server-Sent Events
//
// It has no limits, no metrics, no signed positions and no leases: it marks the least that this work can cost.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

var (
	brokers = flag.String("bootstrap", "localhost:9092", "brokers, host:port, comma-separated")
	listen  = flag.String("listen", "127.0.0.1:8080", "address to serve on")
	topic   = flag.String("topic", "", "the topic to write to and read from")
	group   = flag.String("group", "", "drain as a member of this consumer group, with explicit commits")
)

func main() {
	flag.Parse()
	mux := http.NewServeMux()
	mux.Handle("POST /stores/{store}/stock", newWriter())
	drain := &drain{client: sync.OnceValue(newDrainClient)}
	mux.HandleFunc("GET /drain", drain.poll)
	mux.HandleFunc("POST /drain/ack", drain.ack)
	mux.Handle("GET /feed", newHub())
	log.Fatal(http.ListenAndServe(*listen, mux))
}

func newClient(opts ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(strings.Split(*brokers, ",")...))...)
	if err != nil {
		log.Fatal(err)
	}
	return client
}

// ---- producing

type receipt struct {
	Topic       string `json:"topic"`
	Partition   int32  `json:"partition"`
	Offset      int64  `json:"offset"`
	TimestampMs int64  `json:"timestamp_ms"`
}

type writer struct{ client *kgo.Client }

// newWriter keeps franz-go's defaults (acks from all in-sync replicas, idempotent), but does not linger, and writes what
// the others write: uncompressed batches.
func newWriter() *writer {
	return &writer{newClient(kgo.ProducerLinger(0), kgo.ProducerBatchCompression(kgo.NoCompression()))}
}

func (w *writer) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	if in.Header.Get("Content-Type") == "application/x-ndjson" {
		w.writeLines(out, in)
		return
	}
	body, err := io.ReadAll(in.Body)
	if err != nil {
		http.Error(out, err.Error(), http.StatusBadRequest)
		return
	}
	if len(body) > 0 && body[0] == '[' {
		w.writeArray(out, in, body)
		return
	}
	record, err := w.record(in, body)
	if err != nil {
		http.Error(out, err.Error(), http.StatusBadRequest)
		return
	}
	if err := w.client.ProduceSync(in.Context(), record).FirstErr(); err != nil {
		http.Error(out, err.Error(), http.StatusServiceUnavailable)
		return
	}
	answer(out, http.StatusCreated, receipt{record.Topic, record.Partition, record.Offset, record.Timestamp.UnixMilli()})
}

func (w *writer) record(in *http.Request, body []byte) (*kgo.Record, error) {
	var fields struct {
		Sku string `json:"sku"`
	}
	if err := json.Unmarshal(body, &fields); err != nil {
		return nil, err
	}
	key := in.PathValue("store") + ":" + fields.Sku
	return &kgo.Record{Topic: *topic, Key: []byte(key), Value: body}, nil
}

// ---- many records in one request

const window = 256 // lines that are written together

type item struct {
	Index     int   `json:"index"`
	Status    int   `json:"status"`
	Partition int32 `json:"partition"`
	Offset    int64 `json:"offset"`
}

// write answers with one item a body. What cannot be read or written has a status and no place.
func (w *writer) write(in *http.Request, bodies [][]byte, first int) []item {
	items := make([]item, len(bodies))
	var pending sync.WaitGroup
	for i, body := range bodies {
		items[i].Index = first + i
		record, err := w.record(in, body)
		if err != nil {
			items[i].Status = http.StatusBadRequest
			continue
		}
		pending.Add(1)
		w.client.Produce(in.Context(), record, func(r *kgo.Record, err error) {
			defer pending.Done()
			if err != nil {
				items[i].Status = http.StatusServiceUnavailable
				return
			}
			items[i].Status, items[i].Partition, items[i].Offset = http.StatusCreated, r.Partition, r.Offset
		})
	}
	pending.Wait()
	return items
}

func (w *writer) writeArray(out http.ResponseWriter, in *http.Request, body []byte) {
	var elements []json.RawMessage
	if err := json.Unmarshal(body, &elements); err != nil {
		http.Error(out, err.Error(), http.StatusBadRequest)
		return
	}
	bodies := make([][]byte, len(elements))
	for i, element := range elements {
		bodies[i] = element
	}
	items := w.write(in, bodies, 0)
	status := http.StatusCreated
	for _, one := range items {
		if one.Status != http.StatusCreated {
			status = http.StatusMultiStatus
		}
	}
	answer(out, status, map[string]any{"items": items, "retry": []int{}})
}

func (w *writer) writeLines(out http.ResponseWriter, in *http.Request) {
	out.Header().Set("Content-Type", "application/x-ndjson")
	out.WriteHeader(http.StatusMultiStatus)
	flusher := http.NewResponseController(out)
	flusher.EnableFullDuplex()
	results := json.NewEncoder(out)
	lines := bufio.NewReaderSize(in.Body, 64*1024)
	var bodies [][]byte
	for count := 0; ; {
		line, err := lines.ReadBytes('\n')
		if line = bytes.TrimRight(line, "\r\n"); len(line) > 0 {
			bodies = append(bodies, line)
		}
		if len(bodies) == window || err != nil || (len(bodies) > 0 && lines.Buffered() == 0) {
			for _, one := range w.write(in, bodies, count) {
				results.Encode(one)
			}
			flusher.Flush()
			count += len(bodies)
			bodies = bodies[:0]
		}
		if err != nil {
			return
		}
	}
}

func answer(out http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		http.Error(out, err.Error(), http.StatusInternalServerError)
		return
	}
	out.Header().Set("Content-Type", "application/json")
	out.Header().Set("Content-Length", strconv.Itoa(len(text)))
	out.WriteHeader(status)
	out.Write(text)
}

// ---- reading: the same record as JSON for both ways

type record struct {
	ID          string          `json:"id"`
	Topic       string          `json:"topic"`
	Partition   int32           `json:"partition"`
	Offset      int64           `json:"offset"`
	TimestampMs int64           `json:"timestamp_ms"`
	Key         string          `json:"key"`
	Headers     [][2]string     `json:"headers"`
	Value       json.RawMessage `json:"value"` // checked by json.Marshal
	Encoding    string          `json:"encoding"`
	Deliveries  int             `json:"deliveries"`
}

func asRecord(r *kgo.Record) record {
	headers := make([][2]string, len(r.Headers))
	for i, header := range r.Headers {
		headers[i] = [2]string{header.Key, string(header.Value)}
	}
	id := r.Topic + "/" + strconv.Itoa(int(r.Partition)) + "/" + strconv.FormatInt(r.Offset, 10)
	return record{id, r.Topic, r.Partition, r.Offset, r.Timestamp.UnixMilli(), string(r.Key), headers, r.Value, "json", 1}
}

// drain serves one reader; its client is made at the first poll, so that nothing is read before.
type drain struct{ client func() *kgo.Client }

func newDrainClient() *kgo.Client {
	opts := []kgo.Opt{
		kgo.ConsumeTopics(*topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
	}
	if *group != "" {
		opts = append(opts, kgo.ConsumerGroup(*group), kgo.DisableAutoCommit())
	}
	return newClient(opts...)
}

func (d *drain) poll(out http.ResponseWriter, in *http.Request) {
	max, err := strconv.Atoi(in.FormValue("max"))
	if err != nil {
		http.Error(out, err.Error(), http.StatusBadRequest)
		return
	}
	wait, cancel := context.WithTimeout(in.Context(), 20*time.Second)
	defer cancel()
	fetched := d.client().PollRecords(wait, max).Records()
	records := make([]record, len(fetched))
	for i, r := range fetched {
		records[i] = asRecord(r)
	}
	if *group != "" {
		answer(out, http.StatusOK, map[string]any{"records": records, "lease": "all that was read"})
	} else {
		answer(out, http.StatusOK, map[string]any{"records": records})
	}
}

func (d *drain) ack(out http.ResponseWriter, in *http.Request) {
	if err := d.client().CommitUncommittedOffsets(in.Context()); err != nil {
		http.Error(out, err.Error(), http.StatusConflict)
		return
	}
	answer(out, http.StatusOK, map[string]any{"accepted": "all"})
}

// ---- the feed: one consumer, each event framed once, a channel per client

type hub struct {
	start   sync.Once
	mutex   sync.Mutex
	clients map[chan []byte]struct{}
}

func newHub() *hub { return &hub{clients: map[chan []byte]struct{}{}} }

func (h *hub) run() {
	client := newClient(
		kgo.ConsumeTopics(*topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
	)
	for {
		client.PollFetches(context.Background()).EachRecord(func(r *kgo.Record) {
			text, err := json.Marshal(asRecord(r))
			if err != nil {
				log.Printf("%s/%d/%d left out: %v", r.Topic, r.Partition, r.Offset, err)
				return
			}
			h.broadcast(fmt.Appendf(nil, "id: %d/%d\ndata: %s\n\n", r.Partition, r.Offset, text))
		})
	}
}

// broadcast drops an event for a client that is 256 behind: the bench's delivered share shows it.
func (h *hub) broadcast(event []byte) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	for client := range h.clients {
		select {
		case client <- event:
		default:
		}
	}
}

func (h *hub) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	h.start.Do(func() { go h.run() })
	events := make(chan []byte, 256)
	h.mutex.Lock()
	h.clients[events] = struct{}{}
	h.mutex.Unlock()
	defer func() {
		h.mutex.Lock()
		delete(h.clients, events)
		h.mutex.Unlock()
	}()
	out.Header().Set("Content-Type", "text/event-stream")
	flusher := http.NewResponseController(out)
	flusher.Flush()
	for {
		select {
		case event := <-events:
			out.Write(event)
			flusher.Flush()
		case <-in.Context().Done():
			return
		}
	}
}
