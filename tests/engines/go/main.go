// The artifact for Redpanda Connect and Bento in the processor that both have, from the last
// Benthos that has it under a free licence.
//
//	engines MODULE FUNCTION RECORDS            prints the array that each line becomes
//	engines MODULE FUNCTION RECORDS unarchive  prints each document after `unarchive`
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"sync"

	_ "github.com/benthosdev/benthos/v4/public/components/io"
	_ "github.com/benthosdev/benthos/v4/public/components/pure"
	_ "github.com/benthosdev/benthos/v4/public/components/wasm"
	"github.com/benthosdev/benthos/v4/public/service"
)

const wasm = `
wasm:
  module_path: %q
  function: %q
`

const unarchive = `
unarchive:
  format: json_array
`

func run() error {
	builder := service.NewStreamBuilder()
	builder.SetThreads(1)
	if err := builder.AddProcessorYAML(fmt.Sprintf(wasm, os.Args[1], os.Args[2])); err != nil {
		return err
	}
	if len(os.Args) > 4 {
		if err := builder.AddProcessorYAML(unarchive); err != nil {
			return err
		}
	}
	if err := builder.SetLoggerYAML("level: error"); err != nil {
		return err
	}
	produce, err := builder.AddProducerFunc()
	if err != nil {
		return err
	}
	// Batches come side by side, in any order: each has the place of its line.
	var mutex sync.Mutex
	answers := map[int][]byte{}
	err = builder.AddBatchConsumerFunc(func(_ context.Context, batch service.MessageBatch) error {
		mutex.Lock()
		defer mutex.Unlock()
		for _, message := range batch {
			bytes, err := message.AsBytes()
			if err != nil {
				return err
			}
			place, _ := message.MetaGetMut("place")
			answers[place.(int)] = append(append(answers[place.(int)], bytes...), '\n')
		}
		return nil
	})
	if err != nil {
		return err
	}
	stream, err := builder.Build()
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- stream.Run(context.Background()) }()

	file, err := os.Open(os.Args[3])
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 64<<20)
	count := 0
	for ; lines.Scan(); count++ {
		message := service.NewMessage(append([]byte(nil), lines.Bytes()...))
		message.MetaSetMut("place", count)
		if err := produce(context.Background(), message); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if err := stream.StopWithin(60e9); err != nil {
		return err
	}
	<-ended
	out := bufio.NewWriter(os.Stdout)
	for place := range count {
		if _, err := out.Write(answers[place]); err != nil {
			return err
		}
	}
	return out.Flush()
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
