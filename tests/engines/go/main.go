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

	_ "github.com/benthosdev/benthos/v4/public/components/io"
	_ "github.com/benthosdev/benthos/v4/public/components/pure"
	_ "github.com/benthosdev/benthos/v4/public/components/wasm"
	"github.com/benthosdev/benthos/v4/public/service"
)

const pipeline = `
pipeline:
  threads: 1
  processors:
    - wasm:
        module_path: %q
        function: %q
`

const unarchive = `
    - unarchive:
        format: json_array
`

func run() error {
	config := fmt.Sprintf(pipeline, os.Args[1], os.Args[2])
	if len(os.Args) > 4 {
		config += unarchive
	}
	builder := service.NewStreamBuilder()
	if err := builder.SetYAML(config); err != nil {
		return err
	}
	if err := builder.SetLoggerYAML("level: error"); err != nil {
		return err
	}
	produce, err := builder.AddProducerFunc()
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	err = builder.AddConsumerFunc(func(_ context.Context, message *service.Message) error {
		bytes, err := message.AsBytes()
		if err != nil {
			return err
		}
		_, err = out.Write(append(bytes, '\n'))
		return err
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
	for lines.Scan() {
		line := append([]byte(nil), lines.Bytes()...)
		if err := produce(context.Background(), service.NewMessage(line)); err != nil {
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
	return out.Flush()
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
