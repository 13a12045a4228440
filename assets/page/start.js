// Runs last: builds the stage into its element and listens to the server.

const stage = new Stage(element.querySelector(".stage"));
if (props.known.length) new Suggest(props.known);
window.inpaint = { stage, collect: () => stage.collect() };
watch("value", () => stage.receive(props.value));
if (props.value) stage.receive(props.value);
