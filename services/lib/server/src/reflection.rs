//! Reflection, in both versions of its protocol: older tools know v1alpha only.

use tonic::service::Routes;
use tonic_reflection::server::{Builder, Error};

/// Maximum size of a request in bytes: a name of a file or a symbol.
const MAX_REQUEST_SIZE: usize = 4 * 1024;

/// Adds reflection, which lists the named services and shows the encoded descriptors.
pub(crate) fn add_reflection(routes: Routes, descriptors: &[u8], listed: &[&'static str]) -> Result<Routes, Error> {
    let builder = || {
        let builder = Builder::configure()
            .register_encoded_file_descriptor_set(descriptors)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name("grpc.health.v1.Health");
        listed.iter().fold(builder, |builder, name| builder.with_service_name(*name))
    };
    let v1 = builder().build_v1()?.max_decoding_message_size(MAX_REQUEST_SIZE);
    let v1alpha = builder().build_v1alpha()?.max_decoding_message_size(MAX_REQUEST_SIZE);
    Ok(routes.add_service(v1).add_service(v1alpha))
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use tonic::transport::Endpoint;
    use tonic_reflection::pb::{v1, v1alpha};

    use super::*;

    /// A service of the contract, and one that is not listed.
    const LISTED: &str = "frontdesk.conversation.v1.VisitorService";
    const NOT_LISTED: &str = "frontdesk.conversation.v1.ThreadService";

    async fn serve() -> Endpoint {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = add_reflection(Routes::default(), frontdesk_proto::DESCRIPTORS, &[LISTED]).unwrap();
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        tokio::spawn(tonic::transport::Server::builder().add_routes(routes).serve_with_incoming(incoming));
        Endpoint::from_shared(format!("http://{address}")).unwrap()
    }

    /// The names that reflection lists.
    macro_rules! listed {
        ($version:ident, $endpoint:expr) => {{
            use $version::{
                ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
                server_reflection_request::MessageRequest::ListServices,
                server_reflection_response::MessageResponse::ListServicesResponse,
            };
            let request =
                ServerReflectionRequest { message_request: Some(ListServices(String::new())), ..Default::default() };
            let mut client = ServerReflectionClient::new($endpoint.connect_lazy());
            let answers = client.server_reflection_info(stream::iter([request])).await;
            let answer = answers.unwrap().into_inner().message().await.unwrap().unwrap().message_response;
            let Some(ListServicesResponse(listed)) = answer else { panic!("{answer:?}") };
            listed.service.into_iter().map(|service| service.name).collect::<Vec<_>>()
        }};
    }

    #[tokio::test]
    async fn both_versions_list_the_services() {
        let endpoint = serve().await;
        for names in [listed!(v1, endpoint), listed!(v1alpha, endpoint)] {
            let lists = |name: &str| names.iter().any(|listed| listed == name);
            assert!(lists(LISTED) && lists("grpc.health.v1.Health") && !lists(NOT_LISTED), "{names:?}");
        }
    }
}
