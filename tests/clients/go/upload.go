package main

import (
	"bytes"
	"io"
	"net/http"

	api "example.com/shop/gen/frontdesk/conversation/v1"
)

// upload sends the bytes of an announced attachment. The address is the permission, so there is no token.
func upload(target *api.UploadTarget, content []byte) {
	request := must(http.NewRequest(http.MethodPut, target.Url, bytes.NewReader(content)))
	for name, value := range target.Headers {
		request.Header.Set(name, value)
	}
	response := must(http.DefaultClient.Do(request))
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		fail(string(must(io.ReadAll(response.Body)))) // A sentence that says what is wrong.
	}
}

func download(url string) string {
	response := must(http.Get(url))
	defer response.Body.Close()
	return string(must(io.ReadAll(response.Body)))
}
