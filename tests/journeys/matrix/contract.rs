//! The servers serve the contract.

use std::collections::{BTreeMap, BTreeSet};

use frontdesk_tests::{
    TestSuite, call_raw,
    fixture::{Declared, methods},
};
use prost_reflect::{prost::Message, prost_types::FileDescriptorProto};
use tonic::{Code, Request, transport::Channel};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

/// One address of each service.
fn addresses(suite: &TestSuite) -> Vec<String> {
    let peers = &suite.settings.peers;
    let several = [&peers.conversation, &peers.assignment, &peers.bot_session, &peers.notification];
    let first = several.iter().filter_map(|all| all.split(',').next()).filter(|address| !address.is_empty());
    let addresses: Vec<String> = first.map(str::to_owned).collect();
    if addresses.is_empty() { vec![suite.address.clone()] } else { addresses }
}

async fn reflect(address: &str, request: MessageRequest) -> MessageResponse {
    let channel = Channel::from_shared(address.to_owned()).unwrap().connect().await.unwrap();
    let question = ServerReflectionRequest { host: String::new(), message_request: Some(request) };
    let answers = ServerReflectionClient::new(channel).server_reflection_info(tokio_stream::once(question)).await;
    answers.unwrap().into_inner().message().await.unwrap().unwrap().message_response.unwrap()
}

/// Services that the server describes by reflection, with their methods and the types of requests and responses.
async fn served(address: &str) -> BTreeMap<String, BTreeSet<String>> {
    let MessageResponse::ListServicesResponse(listed) =
        reflect(address, MessageRequest::ListServices("*".into())).await
    else {
        panic!("{address} lists nothing");
    };
    let mut served = BTreeMap::new();
    for name in listed.service.into_iter().map(|service| service.name) {
        let asked = MessageRequest::FileContainingSymbol(name.clone());
        let MessageResponse::FileDescriptorResponse(found) = reflect(address, asked).await else {
            panic!("{address} does not describe {name}");
        };
        let files =
            found.file_descriptor_proto.iter().map(|file| FileDescriptorProto::decode(file.as_slice()).unwrap());
        let methods = files.flat_map(|file| {
            let services =
                file.service.iter().filter(|service| format!("{}.{}", file.package(), service.name()) == name);
            services.flat_map(|service| service.method.clone()).collect::<Vec<_>>()
        });
        let described = methods.map(|method| {
            let types = [method.input_type(), method.output_type()].map(|name| name.trim_start_matches('.'));
            format!("{} {} {} {}", method.name(), types[0], types[1], method.server_streaming())
        });
        let methods = described.collect();
        served.insert(name, methods);
    }
    served
}

/// The services of the compiled descriptors, in the same form.
fn contract() -> BTreeMap<String, BTreeSet<String>> {
    let mut contract: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for Declared { method, .. } in methods() {
        let (input, output) = (method.input(), method.output());
        let described =
            format!("{} {} {} {}", method.name(), input.full_name(), output.full_name(), method.is_server_streaming());
        contract.entry(method.parent_service().full_name().to_owned()).or_default().insert(described);
    }
    contract
}

#[tokio::test]
async fn s1_the_server_serves_exactly_the_methods_of_the_contract() {
    let suite = TestSuite::start().await;
    let mut reflected = BTreeMap::new();
    for address in addresses(&suite) {
        reflected.extend(served(&address).await);
    }
    assert!(reflected.remove("grpc.health.v1.Health").is_some(), "{reflected:?}");
    reflected.remove("grpc.reflection.v1.ServerReflection");
    let contract = contract();
    assert_eq!(reflected, contract, "reflection and the contract");
    let account = suite.account().await;
    for Declared { path, .. } in methods() {
        let code = call_raw(&account.admin(), &path, Request::new(Vec::new())).await.err().map(|status| status.code());
        assert_ne!(code, Some(Code::Unimplemented), "{path} is in the contract and not served");
    }
    println!("{} services, {} methods", contract.len(), contract.values().map(BTreeSet::len).sum::<usize>());
}
