// Command probe is the workload of the cluster's own checks: an HTTP server that says which pod
// answered and after what delay, and the few one-shot commands that prove name resolution, Services
// and volumes from inside a pod whose image holds nothing else.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"
)

const usage = "usage: probe serve ADDRESS | get URL | load COUNT URL HOST | lookup NAME | write FILE TEXT | read FILE"

// longestDelay bounds what ?delay_ms= may ask for.
const longestDelay = 10 * time.Second

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) < 2 {
		return errors.New(usage)
	}
	switch verb, subject := arguments[0], arguments[1]; verb {
	case "serve":
		return serve(subject)
	case "get":
		return get(subject)
	case "load":
		if len(arguments) != 4 {
			return errors.New(usage)
		}
		return load(subject, arguments[2], arguments[3])
	case "lookup":
		addresses, err := net.LookupHost(subject)
		if err == nil {
			fmt.Println(addresses)
		}
		return err
	case "write":
		if len(arguments) != 3 {
			return errors.New(usage)
		}
		return os.WriteFile(subject, []byte(arguments[2]), 0o600)
	case "read":
		content, err := os.ReadFile(subject)
		if err == nil {
			fmt.Println(string(content))
		}
		return err
	default:
		return errors.New(usage)
	}
}

func get(url string) error {
	client := http.Client{Timeout: longestDelay}
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(os.Stdout, io.LimitReader(response.Body, 1<<20)); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}

// load sends count requests one after the other, all for one virtual host; one answer that is not
// 200 fails it.
func load(count, url, host string) error {
	total, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	client := http.Client{Timeout: longestDelay}
	for sent := range total {
		request, err := http.NewRequest(http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		request.Host = host
		response, err := client.Do(request)
		if err != nil {
			return fmt.Errorf("request %d: %w", sent, err)
		}
		_, err = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if err == nil && response.StatusCode != http.StatusOK {
			err = errors.New(response.Status)
		}
		if err != nil {
			return fmt.Errorf("request %d: %w", sent, err)
		}
	}
	fmt.Println(total, "requests answered")
	return nil
}

func serve(address string) error {
	pod, err := os.Hostname()
	if err != nil {
		return err
	}
	var requests atomic.Uint64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "# TYPE probe_requests_total counter\nprobe_requests_total %d\n", requests.Load())
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if milliseconds, err := strconv.Atoi(r.URL.Query().Get("delay_ms")); err == nil {
			time.Sleep(min(time.Duration(milliseconds)*time.Millisecond, longestDelay))
		}
		requests.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"pod": pod, "path": r.URL.Path, "host": r.Host})
	})
	server := http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: longestDelay}
	return server.ListenAndServe()
}
