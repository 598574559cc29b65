// Go's own client, one for all visits.
package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
)

func visit(client *http.Client, url string) error {
	answer, err := client.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}

func main() {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if err := visit(client, os.Args[1]); err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println("ok")
	}
}
