// The serial bridge with a stand-in for the accelerator whose answers are easy to predict.
//
// Reference    sim/bench/uart_bench.py
// Latency      a result follows the last beat by Delay cycles
// Throughput   one image at a time; beats are stalled now and then
// Stall        the result holds until it is taken
//
// hash = 3 * hash + element over the image; logit c = hash + 5 * c; class = hash % Classes. It
// also watches the rules the bridge must keep and remembers each breach.
module uart_echo #(
  parameter int Divider        = 8,
  parameter int Elements       = 6,
  parameter int Lanes          = 2,
  parameter int InBits         = 5,
  parameter int Classes        = 3,
  parameter int LogitBits      = 9,
  parameter bit LogitSigned    = 1'b1,
  parameter int CfgBits        = 20,
  parameter int Memories       = 2,
  parameter int CfgMemoryBits  = 8,
  parameter int CfgAddressBits = 16,
  parameter bit Parity         = 1'b0,
  parameter int Delay          = 40
) (
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic        rx_i,
  output logic        tx_o,
  output logic [7:0]  led_o,
  output logic [31:0] cycles_o,    // of the last image, first beat to result
  output logic [15:0] beats_o,     // taken since reset
  output logic [15:0] accesses_o,  // on the configuration bus since reset
  output logic [31:0] address_o,   // of the last access
  output logic        breach_o     // an access during an image, or a beat too many
);

  localparam int ClassBits = (Classes > 1) ? $clog2(Classes) : 1;
  localparam int Beats     = Elements / Lanes;
  localparam int Words     = 4;  // per memory
  localparam int IndexBits = (Memories > 1) ? $clog2(Memories) : 1;
  localparam int PlaceBits = $clog2(Memories * Words);

  logic                                   rx_valid, rx_error, rx_line, tx_valid, tx_ready;
  logic [7:0]                             rx_data, tx_data;
  logic                                   valid, ready, result_ready;
  logic [Lanes*InBits-1:0]                data;
  logic [ClassBits+Classes*LogitBits-1:0] result;
  logic                                   cfg_valid, cfg_write;
  logic [CfgMemoryBits-1:0]               cfg_memory;
  logic [CfgAddressBits-1:0]              cfg_address;
  logic [CfgBits-1:0]                     cfg_wdata, cfg_word_q, cfg_rdata_q;

  uart_rx #(.Divider(Divider)) u_rx (
    .clk_i, .rst_ni, .rx_i,
    .valid_o(rx_valid), .data_o(rx_data), .error_o(rx_error), .line_o(rx_line)
  );

  uart_tx #(.Divider(Divider)) u_tx (
    .clk_i, .rst_ni, .valid_i(tx_valid), .ready_o(tx_ready), .data_i(tx_data), .tx_o
  );

  uart_bridge #(
    .Elements(Elements), .Lanes(Lanes), .InBits(InBits), .Classes(Classes), .ClassBits(ClassBits),
    .LogitBits(LogitBits), .LogitSigned(LogitSigned), .CfgBits(CfgBits), .Memories(Memories),
    .CfgMemoryBits(CfgMemoryBits), .CfgAddressBits(CfgAddressBits), .Parity(Parity),
    .Digest(64'hefcdab8967452301), .SilenceBits(10)
  ) u_bridge (
    .clk_i, .rst_ni,
    .rx_valid_i(rx_valid), .rx_data_i(rx_data), .rx_error_i(rx_error), .rx_line_i(rx_line),
    .tx_valid_o(tx_valid), .tx_ready_i(tx_ready), .tx_data_o(tx_data),
    .valid_o(valid), .ready_i(ready), .data_o(data),
    .valid_i(result_valid), .ready_o(result_ready), .data_i(result),
    .cfg_valid_o(cfg_valid), .cfg_write_o(cfg_write), .cfg_memory_o(cfg_memory),
    .cfg_address_o(cfg_address), .cfg_data_o(cfg_wdata), .cfg_data_i(cfg_rdata_q),
    .detected_i(detected_q),
    .led_o
  );

  logic [CfgBits-1:0]   words [Memories*Words];
  logic [Memories-1:0]  detected_q;  // by the lowest bit of the word read last; a write clears it
  logic [PlaceBits-1:0] place;
  logic [LogitBits-1:0] hash_d, hash_q;
  logic [15:0]          beat_q, delay_q;    // of this image; cycles until its result
  logic [7:0]           stall_q;            // feedback register, stalls two beats in eight
  logic                 busy_q, result_valid;
  logic [31:0]          count_q;

  assign place        = PlaceBits'(16'(cfg_memory) * 16'(Words) + 16'(cfg_address));
  assign ready        = !busy_q || (beat_q < 16'(Beats) && stall_q[1:0] != '0);
  assign result_valid = busy_q && beat_q == 16'(Beats) && delay_q == '0;

  always_comb begin
    hash_d = busy_q ? hash_q : '0;
    for (int i = 0; i < Lanes; i++) begin
      hash_d = LogitBits'(3) * hash_d + LogitBits'(data[i*InBits +: InBits]);
    end
  end

  for (genvar c = 0; c < Classes; c++) begin : gen_logit
    assign result[c*LogitBits +: LogitBits] = hash_q + LogitBits'(5 * c);
  end
  assign result[Classes*LogitBits +: ClassBits] = ClassBits'(hash_q % LogitBits'(Classes));

  always_ff @(posedge clk_i) begin
    stall_q <= {stall_q[6:0], stall_q[7] ^ stall_q[5] ^ stall_q[4] ^ stall_q[3]};
    count_q <= busy_q ? count_q + 1'b1 : 32'd1;
    if (delay_q != '0) delay_q <= delay_q - 1'b1;
    if (valid && ready) begin
      busy_q  <= 1'b1;
      beat_q  <= busy_q ? beat_q + 1'b1 : 16'd1;
      beats_o <= beats_o + 1'b1;
      hash_q  <= hash_d;
      delay_q <= 16'(Delay);
    end
    if (result_valid && result_ready) begin
      busy_q   <= 1'b0;
      cycles_o <= count_q;
    end
    if (valid && busy_q && beat_q == 16'(Beats)) breach_o <= 1'b1;
    if (cfg_valid) begin
      accesses_o  <= accesses_o + 1'b1;
      address_o   <= 32'(cfg_address);
      cfg_word_q  <= words[place];
      if (cfg_write) words[place] <= cfg_wdata;
      detected_q[IndexBits'(cfg_memory)] <= !cfg_write && words[place][0];
      if (busy_q || valid) breach_o <= 1'b1;
    end else begin
      cfg_word_q <= '1;  // the word is there for one cycle only
    end
    cfg_rdata_q <= cfg_word_q;
    if (!rst_ni) begin
      busy_q     <= 1'b0;
      stall_q    <= 8'h5a;
      beats_o    <= '0;
      accesses_o <= '0;
      breach_o   <= 1'b0;
      detected_q <= '0;
    end
  end

endmodule
